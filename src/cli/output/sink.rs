//! Where an export goes: standard output, or a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};

/// A place that bytes go to.
pub(in crate::cli) struct Sink(BufWriter<Place>);

enum Place {
    Stdout(io::Stdout),
    File(File),
}

/// Whether anybody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Written {
    /// All was taken.
    Taken,
    /// Whoever closed the pipe has read enough.
    NoLongerRead,
}

impl Sink {
    pub(in crate::cli) fn stdout() -> Self {
        Self(BufWriter::new(Place::Stdout(io::stdout())))
    }

    pub(in crate::cli) fn file(file: File) -> Self {
        Self(BufWriter::new(Place::File(file)))
    }

    /// Writes all of it, and lets it out at once.
    ///
    /// # Errors
    /// When it cannot be written, for another reason than that nobody reads any more.
    pub(in crate::cli) fn write(&mut self, bytes: &[u8]) -> io::Result<Written> {
        match self.0.write_all(bytes).and_then(|()| self.0.flush()) {
            Ok(()) => Ok(Written::Taken),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Written::NoLongerRead),
            Err(error) => Err(error),
        }
    }
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
        }
    }
}
