//! Rows of cells under one another.

/// Each column as wide as its widest cell. On a terminal no line is longer than it is wide.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]], width: Option<usize>) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| console::measure_text_width(&row[column])).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| console::pad_str(cell, width, console::Alignment::Left, None));
        let line = cells.collect::<Vec<_>>().join("  ");
        console::truncate_str(line.trim_end(), width.unwrap_or(usize::MAX), "…").into_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
