//! A region at the bottom of the terminal that is redrawn in place, in one write, so that nothing flickers.

use std::io::Write;

use console::Term;

use crate::live::frame::Canvas;
use crate::ui::Ui;

/// The region and how many lines it has now.
pub(crate) struct Screen {
    term: Term,
    drawn: usize,
    last: Vec<String>,
    hidden: bool,
}

impl Screen {
    /// An empty region on stderr.
    pub(crate) fn new() -> Self {
        Self { term: Term::stderr(), drawn: 0, last: Vec::new(), hidden: false }
    }

    /// The room that there is now; the window may have changed.
    pub(crate) fn canvas(&self, ui: &Ui) -> Canvas {
        let (rows, columns) = self.term.size();
        Canvas::new(ui, usize::from(columns).saturating_sub(1).max(20), usize::from(rows).max(6))
    }

    /// Replaces what is drawn.
    pub(crate) fn draw(&mut self, lines: Vec<String>) {
        if lines == self.last && self.drawn == lines.len() {
            return;
        }
        let mut text = String::new();
        if !self.hidden {
            text.push_str("\x1b[?25l");
            self.hidden = true;
        }
        text.push_str(&up(self.drawn));
        for line in &lines {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J");
        self.write(&text);
        self.drawn = lines.len();
        self.last = lines;
    }

    /// Takes the region away, for something that stays.
    pub(crate) fn clear(&mut self) {
        let text = format!("{}\x1b[J{}", up(self.drawn), if self.hidden { "\x1b[?25h" } else { "" });
        self.write(&text);
        self.forget();
    }

    /// Leaves the region as it stands and gives the cursor back.
    pub(crate) fn leave(&mut self) {
        if self.hidden {
            self.write("\x1b[?25h");
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.hidden = false;
        self.drawn = 0;
        self.last.clear();
    }

    fn write(&mut self, text: &str) {
        // A terminal that has gone shows nothing; the run goes on.
        let _ = self.term.write_all(text.as_bytes());
        let _ = self.term.flush();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

fn up(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\r") }
}
