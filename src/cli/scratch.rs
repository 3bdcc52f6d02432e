//! Room for segments that are derived: files without a name, which are gone when the command is.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::index::{Sink, Source};
use crate::verify::Scratch;

/// Files in the directory for temporary ones, `TMPDIR`.
#[derive(Debug, Clone)]
pub(super) struct ScratchFiles(PathBuf);

impl ScratchFiles {
    pub(super) fn new() -> Self {
        Self(env::temp_dir())
    }
}

/// A file that is written.
pub(super) struct ScratchSink {
    file: BufWriter<File>,
    length: u64,
}

/// A file that is read.
pub(super) struct ScratchSource {
    file: File,
    length: u64,
}

impl Scratch for ScratchFiles {
    type Error = io::Error;
    type Sink = ScratchSink;
    type Source = ScratchSource;

    fn create(&self) -> io::Result<ScratchSink> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self
            .0
            .join(format!("graven-{}-{number}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        fs::remove_file(&path)?;
        Ok(ScratchSink {
            file: BufWriter::with_capacity(1 << 20, file),
            length: 0,
        })
    }

    fn finish(&self, sink: ScratchSink) -> io::Result<ScratchSource> {
        let length = sink.length;
        let file = sink
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        Ok(ScratchSource { file, length })
    }
}

impl Sink for ScratchSink {
    type Error = io::Error;

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

impl Source for ScratchSource {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}
