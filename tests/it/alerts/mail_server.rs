//! A real SMTP server, started by the tests on a free port.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::redis_server::free_port;

/// A server that runs until it is dropped.
pub struct MailServer {
    child: Child,
    directory: TempDir,
    pub port: u16,
}

/// A mail that it took.
#[derive(Debug)]
pub struct Taken {
    pub to: String,
    pub text: String,
}

impl Taken {
    /// A header of one line.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

impl MailServer {
    /// A server that takes everything in plain text.
    pub fn start(ways: &[&str]) -> Self {
        Self::with(free_port(), &[], ways)
    }

    /// One on a port, with options of the script.
    pub fn with(port: u16, options: &[&str], ways: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(root.join(".tools/venv/bin/python"))
            .arg(root.join("tests/it/alerts/mail_server.py"))
            .arg(port.to_string())
            .arg(directory.path())
            .args(ways)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("`make setup` installs the tools of the tests");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready.trim(), "ready");
        Self { child, directory, port }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "eml")).collect();
        files.sort();
        files
    }

    /// How often somebody logged in, or tried to.
    pub fn logins(&self) -> usize {
        fs::read_to_string(self.directory.path().join("logins")).map_or(0, |text| text.lines().count())
    }

    /// The mails that it took, the first one first.
    pub fn taken(&self) -> Vec<Taken> {
        let read = |path: PathBuf| {
            let text = String::from_utf8(fs::read(path).unwrap()).unwrap();
            let (first, text) = text.split_once("\r\n").unwrap();
            Taken { to: first.trim_start_matches("X-Envelope-To: ").to_owned(), text: text.to_owned() }
        };
        self.files().into_iter().map(read).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
