//! What is configured of LiveKit: an API key with its secret, and the API whose lists are read.

use std::{fs, time::Duration};

use axum::http::Uri;

use crate::{
    access::{Secret, jwt::MAX_ISSUER_BYTES},
    config::{build::Values, parse, raw::Origin, setting::SECRET_VARIABLE},
    livekit::{desk::DeskSettings, token::Secrets},
    model::Project,
};

/// Readings of the lists that may fail before nothing of LiveKit's is known any more.
const LEASE_READINGS: u32 = 3;
/// Longest secret, in bytes: LiveKit's have 32 to 64.
const MAX_SECRET_BYTES: u64 = 1_024;

/// One project of LiveKit's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveKitConfig {
    /// `http` or `https`, host, port and path, without a slash at the end. None when lists are not read.
    pub url: Option<String>,
    pub api_key: String,
    pub secret: Secret<Vec<u8>>,
    pub project: Project,
    /// How often lists are read.
    pub interval: Duration,
    /// How long a connection counts of which nothing is heard, and no list says that it is there.
    pub expire_after: Duration,
}

impl LiveKitConfig {
    /// How the project's desk works.
    pub fn desk(&self) -> DeskSettings {
        let lease = self.url.is_some().then_some(self.interval * LEASE_READINGS);
        DeskSettings { lease, expire_after: self.expire_after }
    }
}

/// The configuration knows one secret.
impl Secrets for Option<LiveKitConfig> {
    fn secret(&self, api_key: &str) -> Option<(Project, Secret<Vec<u8>>)> {
        let config = self.as_ref().filter(|config| config.api_key == api_key)?;
        Some((config.project.clone(), config.secret.clone()))
    }
}

/// The settings, each right by itself.
pub(super) struct Typed {
    url: Option<String>,
    api_key: Option<String>,
    secret: Option<Secret<Vec<u8>>>,
    project: Project,
    interval: Duration,
    expire_after: Duration,
}

impl Typed {
    pub(super) fn take(values: &mut Values<'_>) -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        Self {
            url: values.take("livekit.url", url),
            api_key: values.take("livekit.api_key", api_key),
            secret: values.take("livekit.api_secret_file", secret_file),
            project: values.take("livekit.project", |name| Project::new(name).map_err(|error| error.problem)),
            interval: values.take("livekit.reconcile_interval", parse::duration(second..=10 * minute)),
            expire_after: values.take("livekit.expire_after", parse::duration(minute..=7 * 24 * 60 * minute)),
        }
    }

    /// What must hold between them; a secret in the variable comes before one in a file.
    pub(super) fn check(self, secret: Option<&Secret<Vec<u8>>>, values: &mut Values<'_>) -> Option<LiveKitConfig> {
        let secret = secret.cloned().or(self.secret);
        let is_missing = secret.is_none() && self.api_key.is_some() && !values.is_wrong("livekit.api_secret_file");
        if let Some(origin) = values.origin("livekit.api_key").filter(|_| is_missing) {
            let problem = format!(
                "has no secret: name the file that holds it in `livekit.api_secret_file`, or set {SECRET_VARIABLE}"
            );
            values.mistake(origin, "livekit.api_key", problem);
        }
        if self.expire_after < self.interval * LEASE_READINGS {
            let why = "what a list names must not expire before the next one is read";
            values.conflict("livekit.expire_after", "at least three times", "livekit.reconcile_interval", why);
        }
        if self.api_key.is_none() && !values.is_wrong("livekit.api_key") {
            let problem = "is of no use without `livekit.api_key`";
            let unused = [("livekit.url", self.url.is_some()), ("livekit.api_secret_file", secret.is_some())];
            for (key, is_set) in unused {
                match values.origin(key) {
                    Some(origin) if is_set => values.mistake(origin, key, problem),
                    None if is_set => values.mistake(Origin::Variable(SECRET_VARIABLE.to_owned()), "", problem),
                    _ => {}
                }
            }
        }
        Some(LiveKitConfig {
            url: self.url,
            api_key: self.api_key?,
            secret: secret?,
            project: self.project,
            interval: self.interval,
            expire_after: self.expire_after,
        })
    }
}

/// Where LiveKit's API is. What agents call its URL (`wss://...`) is taken, too.
fn url(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    // It is not said again: it may hold a password, which is no part of it.
    let wrong = || "this is not a URL of LiveKit's; write it as https://example.livekit.cloud".to_owned();
    let http = text.strip_prefix("ws").map_or_else(|| text.to_owned(), |rest| format!("http{rest}"));
    let uri: Uri = http.parse().map_err(|_| wrong())?;
    let has_host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    match uri.scheme_str() {
        Some("http" | "https") if has_host && uri.query().is_none() => Ok(Some(http.trim_end_matches('/').to_owned())),
        _ => Err(wrong()),
    }
}

fn api_key(text: &str) -> Result<Option<String>, String> {
    match text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= MAX_ISSUER_BYTES {
        true => Ok((!text.is_empty()).then(|| text.to_owned())),
        false => {
            Err(format!("{text:?} is not an API key: it has at most {MAX_ISSUER_BYTES} letters, digits and signs"))
        }
    }
}

/// The secret in a file; a line end after it is not a part of it.
fn secret_file(path: &str) -> Result<Option<Secret<Vec<u8>>>, String> {
    if path.is_empty() {
        return Ok(None);
    }
    let size = fs::metadata(path).map_err(|error| format!("{path} can't be read: {error}"))?.len();
    if size > MAX_SECRET_BYTES {
        return Err(format!("{path} has {size} bytes; a secret has at most {MAX_SECRET_BYTES}"));
    }
    // What was read is not told: it may be the secret.
    let text = fs::read_to_string(path).map_err(|error| format!("{path} can't be read: {}", error.kind()))?;
    match text.trim() {
        "" => Err(format!("{path} is empty; it is to hold the secret of the API key")),
        secret => Ok(Some(secret.into())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, RawConfig};

    fn build(text: &str, secret: Option<&str>) -> Result<Config, String> {
        let raw = RawConfig { livekit_secret: secret.map(Secret::from), ..RawConfig::default() };
        Config::build(&raw, Some((Path::new("h.toml"), text))).map_err(|mistakes| mistakes.to_string())
    }

    #[track_caller]
    fn wrong(text: &str, secret: Option<&str>, words: &[&str]) {
        let mistakes = build(text, secret).unwrap_err();
        words.iter().for_each(|word| assert!(mistakes.contains(word), "{word}: {mistakes}"));
    }

    #[test]
    fn a_secret_comes_from_a_file_or_a_variable_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "hush-file\n").unwrap();
        let text = format!(
            "[livekit]\nurl = 'wss://x.livekit.cloud/'\napi_key = 'APIx'\nproject = 'calls'\napi_secret_file = '{}'\n",
            path.display()
        );
        let config = build(&text, None).unwrap();
        let livekit = config.livekit.clone().unwrap();
        assert_eq!(livekit.secret, "hush-file".into());
        assert_eq!(livekit.url.as_deref(), Some("https://x.livekit.cloud"));
        assert_eq!(livekit.desk().lease, Some(Duration::from_secs(90)));
        let (project, _) = config.livekit.secret("APIx").unwrap();
        assert_eq!((project.as_str(), config.livekit.secret("APIy")), ("calls", None));
        let other = build(&text, Some("hush-variable")).unwrap();
        assert_eq!(other.livekit.clone().unwrap().secret, "hush-variable".into());
        for config in [config, other] {
            assert!(!config.describe().contains("hush") && !format!("{config:?}").contains("hush"));
        }
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        assert_eq!(build("", None).unwrap().livekit, None);
        wrong("[livekit]\napi_key = 'APIx'\n", None, &["h.toml:2: livekit.api_key: has no secret: name the file"]);
        wrong(
            "[livekit]\nurl = 'http://l'\n",
            None,
            &["h.toml:2: livekit.url: is of no use without `livekit.api_key`"],
        );
        wrong("", Some("hush"), &["HIGHWATER_LIVEKIT_API_SECRET: is of no use without `livekit.api_key`"]);
        let all = "[livekit]\nurl = 'livekit.cloud'\napi_key = 'a b'\napi_secret_file = '/nowhere'\nproject = 'A'\n";
        wrong(
            all,
            None,
            &["has 4 mistakes", "is not a URL of LiveKit's", "is not an API key", "/nowhere can't be read"],
        );
        let rare = "[livekit]\nreconcile_interval = '10min'\nexpire_after = '20min'\n";
        wrong(
            rare,
            None,
            &["h.toml:3: livekit.expire_after: ", "at least three times `livekit.reconcile_interval` (10min)"],
        );
        for url in ["ftp://x", "https://", "https://u:p@x", "https://x?y=1", "wss:x"] {
            wrong(&format!("[livekit]\napi_key = 'A'\nurl = '{url}'\n"), Some("s"), &["is not a URL of LiveKit's"]);
        }
    }
}
