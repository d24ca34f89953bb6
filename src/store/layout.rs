//! The format of a state directory, as the file `initialized` tells it.
//!
//! The file is the last thing that is written of a new directory, and of one that was brought to another format: what it
//! says is there in full.

use std::fs;

use super::state::Paths;
use super::{OpenError, files};

/// The format that this version writes.
pub(super) const CURRENT: u32 = 2;

/// What the marker of format 1 says, all of it.
const FIRST: &str = "bursar state, format 1\n";

/// What a directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// Nothing that was ever finished.
    Unmarked,
    /// In a format that this version knows.
    Format(u32),
    /// In a newer one; with the version that wrote it.
    Newer(u32, String),
    /// The marker makes no sense.
    Altered,
}

/// Reads the marker.
pub(super) fn read(paths: &Paths) -> Result<Layout, OpenError> {
    let marker = files::read_if_there(&paths.marker).map_err(|error| OpenError::io(&paths.marker, error))?;
    let Some(marker) = marker else { return Ok(Layout::Unmarked) };
    Ok(std::str::from_utf8(&marker).ok().and_then(parse).unwrap_or(Layout::Altered))
}

fn parse(marker: &str) -> Option<Layout> {
    if marker == FIRST {
        return Some(Layout::Format(1));
    }
    let (format, writer) = marker.strip_prefix("bursar state, format ")?.split_once('\n')?;
    let writer = writer.strip_prefix("written by ")?.strip_suffix('\n')?;
    let written = writer.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    match format.parse().ok()? {
        _ if !written || format.starts_with(['0', '+']) => None,
        1 => None,
        format if format > CURRENT => Some(Layout::Newer(format, writer.into())),
        format => Some(Layout::Format(format)),
    }
}

/// Writes the marker of a format, if it does not stand there already.
pub(super) fn mark(paths: &Paths, format: u32) -> Result<(), OpenError> {
    let marker = match format {
        1 => FIRST.to_owned(),
        format => format!("bursar state, format {format}\nwritten by bursar {}\n", env!("CARGO_PKG_VERSION")),
    };
    if fs::read(&paths.marker)
        .is_ok_and(|there| parse(&String::from_utf8_lossy(&there)) == Some(Layout::Format(format)))
    {
        return Ok(());
    }
    files::replace(&paths.marker, marker.as_bytes()).map_err(|error| OpenError::io(&paths.marker, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_tells_its_format_and_who_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::of(dir.path());
        assert_eq!(read(&paths).unwrap(), Layout::Unmarked);
        for format in 1..=CURRENT {
            mark(&paths, format).unwrap();
            assert_eq!(read(&paths).unwrap(), Layout::Format(format));
        }
        for (marker, layout) in [
            ("bursar state, format 9\nwritten by bursar 3.1.4\n", Layout::Newer(9, "bursar 3.1.4".into())),
            ("bursar state, format 1", Layout::Altered),
            ("bursar state, format 1\nwritten by bursar 0.1.0\n", Layout::Altered),
            ("bursar state, format 02\nwritten by bursar 0.1.0\n", Layout::Altered),
            ("bursar state, format 9\nwritten by \u{1b}[2J\n", Layout::Altered),
            ("", Layout::Altered),
        ] {
            fs::write(&paths.marker, marker).unwrap();
            assert_eq!(read(&paths).unwrap(), layout, "{marker:?}");
        }
    }
}
