//! A mail as it is sent: headers and parts. Names that users chose stand in the subject and the bodies alone; bodies are
//! always encoded as base64 or quoted-printable, so that no line of theirs is a line of the protocol.

use std::time::{Duration, SystemTime};

use lettre::{
    Message,
    message::{
        Attachment, Body, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue},
    },
};

use crate::{
    alert::{Facts, Mail, NoticeKind},
    model::Time,
};

/// Longest subject, in bytes: what most mail clients show in full, and a margin.
const MAX_SUBJECT_BYTES: usize = 200;
/// The name of the picture that the HTML shows.
const PICTURE: &str = "week";

/// Why there is no mail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mail can't be made: {0}")]
pub struct MessageError(String);

/// Defines a header of one line.
macro_rules! plain_header {
    ($name:ident, $text:literal) => {
        #[derive(Clone)]
        struct $name(String);

        impl Header for $name {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($text)
            }

            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    };
}

plain_header!(ListUnsubscribe, "List-Unsubscribe");
plain_header!(ListUnsubscribePost, "List-Unsubscribe-Post");
plain_header!(AutoSubmitted, "Auto-Submitted");

/// The bytes of a mail.
///
/// # Errors
/// When an address is none.
pub fn message(mail: &Mail, facts: &Facts, from: &str, to: &str, now: Time) -> Result<Vec<u8>, MessageError> {
    let address = |text: &str| text.parse().map_err(|_| MessageError("an address is none".to_owned()));
    let root = format!("<{}>", facts.thread.root);
    let roots = roots(facts);
    let mut builder = Message::builder()
        .from(lettre::message::Mailbox::new(Some("Highwater".to_owned()), address(from)?))
        .to(lettre::message::Mailbox::new(None, address(to)?))
        .date(SystemTime::UNIX_EPOCH + Duration::from_micros(now.0))
        .message_id(Some(format!("<{}>", facts.thread.message_id)))
        .subject(subject(&mail.subject))
        .header(AutoSubmitted("auto-generated".to_owned()));
    if facts.notice != NoticeKind::Test {
        builder = builder.references(roots).in_reply_to(root);
    }
    if let Some(link) = &facts.unsubscribe_link {
        builder = builder
            .header(ListUnsubscribe(format!("<{link}>")))
            .header(ListUnsubscribePost("List-Unsubscribe=One-Click".to_owned()));
    }
    let text = part(&mail.text, ContentType::TEXT_PLAIN)?;
    let message = if mail.html.is_empty() {
        builder.singlepart(text)
    } else {
        let html = part(&mail.html, ContentType::TEXT_HTML)?;
        let mut related = MultiPart::related().singlepart(html);
        if !mail.png.is_empty() {
            let png = ContentType::parse("image/png").expect("OK because it is a content type");
            let picture = Body::new_with_encoding(mail.png.clone(), ContentTransferEncoding::Base64);
            let picture = picture.map_err(|_| MessageError("the picture can't be encoded".to_owned()))?;
            related = related.singlepart(Attachment::new_inline(PICTURE.to_owned()).body(picture, png));
        }
        builder.multipart(MultiPart::alternative().singlepart(text).multipart(related))
    };
    message.map(|message| message.formatted()).map_err(|error| MessageError(error.to_string()))
}

/// What a mail refers to: every alert that it tells of, so that no thread misses its beginning or its end; the one that it
/// is of last, where a reply's parent stands.
fn roots(facts: &Facts) -> String {
    let mut roots: Vec<&str> =
        facts.also.iter().map(|also| &*also.root).filter(|root| *root != facts.thread.root).collect();
    roots.sort_unstable();
    roots.dedup();
    roots.push(&facts.thread.root);
    roots.iter().map(|root| format!("<{root}>")).collect::<Vec<_>>().join(" ")
}

/// A body whose lines are encoded, whatever they hold.
fn part(text: &str, content_type: ContentType) -> Result<SinglePart, MessageError> {
    let is_mostly_ascii = text.bytes().filter(|byte| !byte.is_ascii()).count() * 6 < text.len();
    let encoding =
        if is_mostly_ascii { ContentTransferEncoding::QuotedPrintable } else { ContentTransferEncoding::Base64 };
    let body = Body::new_with_encoding(text.to_owned(), encoding);
    let body = body.map_err(|_| MessageError("a body can't be encoded".to_owned()))?;
    Ok(SinglePart::builder().header(content_type).body(body))
}

/// One line that is not too long.
fn subject(text: &str) -> String {
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let end = text.floor_char_boundary(MAX_SUBJECT_BYTES.min(text.len()));
    if end < text.len() { format!("{}…", &text[..end]) } else { text }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::alert::{AlertKind, facts::tests::facts, render};

    fn sent(change: impl Fn(&mut Facts, &mut Mail)) -> String {
        let mut facts = facts(AlertKind::StoreDegraded);
        facts.thread.message_id = "0123@hw.example".to_owned();
        facts.thread.root = "store-degraded.7@hw.example".to_owned();
        let mut mail = render(&facts);
        change(&mut facts, &mut mail);
        let bytes = message(&mail, &facts, "hw@hw.example", "ops@x.example", Time::from_secs(784_111_777)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn headers(text: &str) -> Vec<&str> {
        text.split("\r\n\r\n").next().unwrap().split("\r\n").collect()
    }

    #[test]
    fn a_thread_is_of_an_alert_and_a_message_has_its_own_name() {
        let text = sent(|facts, _| facts.unsubscribe_link = Some("https://hw.example/u?token=a".to_owned()));
        let headers = headers(&text);
        for expected in [
            "From: Highwater <hw@hw.example>",
            "To: ops@x.example",
            "Date: Sun, 06 Nov 1994 08:49:37 +0000",
            "Message-ID: <0123@hw.example>",
            "References: <store-degraded.7@hw.example>",
            "In-Reply-To: <store-degraded.7@hw.example>",
            "Auto-Submitted: auto-generated",
            "List-Unsubscribe: <https://hw.example/u?token=a>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        ] {
            assert!(headers.contains(&expected), "{expected}: {text}");
        }
    }

    #[test]
    fn a_mail_of_several_alerts_is_in_the_thread_of_each() {
        let roots: Vec<_> = (0..90).map(|nth| format!("level-{nth}.1700000000@hw.example")).collect();
        let text = sent(|facts, _| {
            let folded = |root: &String| crate::alert::mail::tests::folded(root);
            facts.also = roots.iter().chain(&roots[..3]).map(folded).collect();
        });
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(head.lines().all(|line| line.len() < 998), "{head}");
        let unfolded = head.replace("\r\n ", " ");
        let line = unfolded.lines().find_map(|line| line.strip_prefix("References: ")).unwrap();
        let named: Vec<_> = line.split_whitespace().collect();
        assert_eq!((named.len(), named[90]), (91, "<store-degraded.7@hw.example>"), "its own is the last");
        assert!(roots.iter().all(|root| named.contains(&&*format!("<{root}>"))), "{line}");
        assert!(unfolded.contains("In-Reply-To: <store-degraded.7@hw.example>"), "{head}");
    }

    #[test]
    fn no_name_ends_a_header_and_no_line_ends_the_message() {
        let text = sent(|_, mail| {
            mail.subject = "a\r\nBcc: all@x.example\r\n\r\nbody".to_owned();
            mail.text = "one\r\n.\r\nMAIL FROM:<x@y>\r\n\u{e9}".to_owned();
            mail.html = "<p>\r\n.\r\nRCPT TO:<x@y></p>".to_owned();
            mail.png = vec![0x89, b'P', b'N', b'G', 13, 10, b'.', 13, 10];
        });
        assert!(!headers(&text).iter().any(|line| line.starts_with("Bcc")), "{text}");
        assert!(text.contains("Content-ID: <week>") && text.contains("multipart/related"), "{text}");
        for line in text.lines().filter(|line| line.starts_with("Content-Transfer-Encoding")) {
            assert!(line.ends_with("base64") || line.ends_with("quoted-printable"), "{line}");
        }
    }

    #[test]
    fn a_subject_is_cut_at_a_letter() {
        let text = subject(&"ü".repeat(500));
        assert!(text.len() < 210 && text.ends_with("ü…"), "{text}");
    }
}
