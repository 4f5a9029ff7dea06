//! What a mail says, read from what came over the wire. It reads what the service writes, and of other mails what it can.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::service::simulation::inbox::Letter;

/// Parts within parts: a picture within HTML within alternatives.
const MOST_DEPTH: usize = 4;

/// The parts of a mail.
#[derive(Default)]
struct Parts {
    text: String,
    html: String,
    /// Pictures as `data:` URLs, by what the HTML calls them.
    pictures: HashMap<String, String>,
}

/// Reads a mail.
pub fn read(source: String) -> Letter {
    let (head, _) = split(&source);
    let mut parts = Parts::default();
    parts.take(&source, 0);
    for (id, picture) in &parts.pictures {
        parts.html = parts.html.replace(&format!("cid:{id}"), picture);
    }
    let header = |name| header(head, name).unwrap_or_default();
    Letter {
        subject: words(&header("Subject")),
        message_id: header("Message-ID").trim_matches(['<', '>']).to_owned(),
        text: parts.text,
        html: parts.html,
        source,
        ..Letter::default()
    }
}

impl Parts {
    fn take(&mut self, part: &str, depth: usize) {
        let (head, body) = split(part);
        let kind = header(head, "Content-Type").unwrap_or_default();
        let sort = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if let Some(boundary) = boundary(&kind).filter(|_| sort.starts_with("multipart/") && depth < MOST_DEPTH) {
            let line = format!("--{boundary}");
            let inner = body.split(&line).skip(1).take_while(|inner| !inner.starts_with("--"));
            inner.for_each(|inner| self.take(inner.trim_start_matches("\r\n"), depth + 1));
            return;
        }
        let bytes = decode(&header(head, "Content-Transfer-Encoding").unwrap_or_default(), body);
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        match &*sort {
            "text/html" => self.html = text(),
            "text/plain" | "" => self.text = text(),
            _ => {
                let id = header(head, "Content-ID").unwrap_or_default().trim_matches(['<', '>']).to_owned();
                self.pictures.insert(id, format!("data:{sort};base64,{}", BASE64_STANDARD.encode(&bytes)));
            }
        }
    }
}

fn split(part: &str) -> (&str, &str) {
    part.split_once("\r\n\r\n").unwrap_or((part, ""))
}

/// A header, its lines in one.
fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.split("\r\n");
    let of_name = |line: &&str| {
        line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
            && !line.starts_with([' ', '\t'])
    };
    let first = lines.find(of_name)?;
    let mut value = first[name.len() + 1..].trim().to_owned();
    for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push(' ');
        value.push_str(more.trim());
    }
    Some(value)
}

fn boundary(kind: &str) -> Option<&str> {
    let (_, rest) = kind.split_once("boundary=")?;
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([';', ' ']).next(),
    }
}

fn decode(encoding: &str, body: &str) -> Vec<u8> {
    match &*encoding.to_ascii_lowercase() {
        "base64" => {
            let digits: String = body.split_whitespace().collect();
            BASE64_STANDARD.decode(digits).unwrap_or_default()
        }
        "quoted-printable" => unquote(body),
        _ => body.as_bytes().to_vec(),
    }
}

fn unquote(body: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'=', [b'\r', b'\n', after @ ..]) => after,
            (b'=', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let byte = std::str::from_utf8(&digits).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                bytes.extend(byte);
                after
            }
            (byte, after) => {
                bytes.push(*byte);
                after
            }
        };
    }
    bytes
}

/// A header's text, its words in base64 read.
fn words(text: &str) -> String {
    let mut read = String::new();
    let mut was_encoded = false;
    for word in text.split(' ') {
        let encoded = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?="));
        let decoded = encoded.and_then(|word| BASE64_STANDARD.decode(word).ok());
        // Between two words in base64 the space is none of theirs.
        let is_within = was_encoded && decoded.is_some();
        if !read.is_empty() && !is_within {
            read.push(' ');
        }
        was_encoded = decoded.is_some();
        match decoded {
            Some(bytes) => read.push_str(&String::from_utf8_lossy(&bytes)),
            None => read.push_str(word),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_writes_is_read() {
        let source = "Subject: =?utf-8?b?w6k=?= =?utf-8?b?w6k=?= at\r\n 18 of 20\r\nMessage-ID: <1@x>\r\n\
            Content-Type: multipart/alternative;\r\n boundary=\"outer\"\r\n\r\n\
            --outer\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            caf=C3=A9 =\r\n1=3D1\r\n--outer\r\nContent-Type: multipart/related; boundary=\"inner\"\r\n\r\n\
            --inner\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGltZyBzcmM9\r\nY2lkOnc+\r\n\
            --inner\r\nContent-Type: image/png\r\nContent-ID: <w>\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n\
            --inner--\r\n--outer--\r\n";
        let letter = read(source.to_owned());
        assert_eq!((&*letter.subject, &*letter.message_id), ("éé at 18 of 20", "1@x"));
        assert_eq!(letter.text.trim_end(), "café 1=1");
        assert_eq!(letter.html.trim_end(), "<img src=data:image/png;base64,AAEC>");
    }

    #[test]
    fn what_is_no_mail_is_shown_as_it_is() {
        for source in ["", "x", "Subject: a", "a\r\n\r\nb", "Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n"] {
            assert_eq!(read(source.to_owned()).source, source);
        }
    }
}
