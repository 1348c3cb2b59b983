//! The one place that names bincode: fixed-size layouts, frozen by golden-bytes tests, never a whole event.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian, legacy};

/// No layout of ours is longer, so a hostile length can't ask for more.
const DECODE_LIMIT: usize = 256;

const LAYOUT: Configuration<LittleEndian, Fixint, Limit<DECODE_LIMIT>> = legacy().with_limit::<DECODE_LIMIT>();

/// Why bytes are not the layout that they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    /// They did not decode.
    #[error("bytes that are not its layout")]
    Decode(#[source] bincode::error::DecodeError),
    /// They did not fit.
    #[error("a layout that does not fit its place")]
    Encode(#[source] bincode::error::EncodeError),
    /// bincode alone would pass over what is left.
    #[error("{got} bytes where its layout has {want}")]
    Length {
        /// The layout's length.
        want: usize,
        /// The length given.
        got: usize,
    },
}

/// Writes a layout into exactly its place.
pub(crate) fn encode_into<T: bincode::Encode>(value: T, place: &mut [u8]) -> Result<(), CodecError> {
    let want = bincode::encode_into_slice(value, place, LAYOUT).map_err(CodecError::Encode)?;
    exact(want, place.len())
}

/// Reads a layout that fills `bytes` to the last one.
pub(crate) fn decode<T: bincode::Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, want) = bincode::decode_from_slice(bytes, LAYOUT).map_err(CodecError::Decode)?;
    exact(want, bytes.len())?;
    Ok(value)
}

fn exact(want: usize, got: usize) -> Result<(), CodecError> {
    if want == got { Ok(()) } else { Err(CodecError::Length { want, got }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_fixed_size_and_little_endian() {
        let mut place = [0; 15];
        encode_into((1_u32, 2_u64, [7_u8, 8, 9]), &mut place).unwrap();
        assert_eq!(place, [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 8, 9]);
        assert_eq!(decode::<(u32, u64, [u8; 3])>(&place).unwrap(), (1, 2, [7, 8, 9]));
    }

    #[test]
    fn a_wrong_length_is_refused_both_ways() {
        assert!(matches!(decode::<u32>(&[0; 5]), Err(CodecError::Length { want: 4, got: 5 })));
        assert!(matches!(decode::<u32>(&[0; 3]), Err(CodecError::Decode(_))));
        assert!(matches!(encode_into(1_u32, &mut [0; 5]), Err(CodecError::Length { want: 4, got: 5 })));
        assert!(matches!(encode_into(1_u32, &mut [0; 3]), Err(CodecError::Encode(_))));
    }

    #[test]
    fn a_claimed_length_beyond_the_limit_is_refused_before_it_is_allocated() {
        assert!(decode::<String>(&u64::MAX.to_le_bytes()).is_err());
    }
}
