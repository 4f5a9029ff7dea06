//! What is kept of a project that somebody made. Projects that were only reported for have no record.

use prost::Message;

use crate::model::{Project, Time};

/// One project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRecord {
    pub project: Project,
    pub created: Time,
    /// Id of the key that it was made with.
    pub created_by: String,
    /// It is being deleted: what is left of it goes as soon as the store does it.
    pub leaving: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Row {
    #[prost(string, tag = "1")]
    project: String,
    /// Microseconds since the Unix epoch.
    #[prost(uint64, tag = "2")]
    created: u64,
    #[prost(string, tag = "3")]
    created_by: String,
    #[prost(bool, tag = "4")]
    leaving: bool,
}

impl ProjectRecord {
    pub fn encode(&self) -> Vec<u8> {
        let (project, created, created_by) = (self.project.to_string(), self.created.0, self.created_by.clone());
        Row { project, created, created_by, leaving: self.leaving }.encode_to_vec()
    }

    /// `None` when the bytes are no project.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let row = Row::decode(bytes).ok()?;
        Some(Self {
            project: Project::new(&row.project).ok()?,
            created: Time(row.created),
            created_by: row.created_by,
            leaving: row.leaving,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_project_comes_back_as_it_was() {
        let project = Project::new("acme").unwrap();
        let record = ProjectRecord { project, created: Time(7), created_by: "kim".to_owned(), leaving: true };
        assert_eq!(ProjectRecord::decode(&record.encode()), Some(record));
        assert_eq!(ProjectRecord::decode(b"\xff"), None);
    }
}
