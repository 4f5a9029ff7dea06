//! Takes Rust and Markdown apart as far as the rules need: no grammar, only comments, literals, words and braces.

/// The links of a Markdown text that is not in code, each with its line from 1.
pub fn markdown_links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        // Every other part between backticks is code.
        for part in line.split('`').step_by(2).filter(|_| !in_code) {
            for link in part.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
                found.push((number + 1, link));
            }
        }
    }
    found
}

/// The tags that open in an HTML text, each with its line from 1 and without its angle brackets.
pub fn tags(text: &str) -> Vec<(usize, &str)> {
    let starts =
        text.match_indices('<').filter(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()));
    let tag = |at: usize| text[at + 1..].split('>').next().unwrap_or_default().trim_end_matches('/');
    starts.map(|(at, _)| (text[..at].matches('\n').count() + 1, tag(at))).collect()
}

/// True when `line` holds `name` as whole words.
pub fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        let starts = !name.starts_with(is_word) || !before.is_some_and(is_word);
        let ends = !name.ends_with(is_word) || !after.is_some_and(is_word);
        starts && ends
    })
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first segment of a path, or of each path of a `{...}` group.
pub fn first_segments(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![rest.chars().take_while(|&c| is_word(c)).collect()];
    };
    let mut depth = 1;
    let mut segments = vec![String::new()];
    let mut in_first = true;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                segments.push(String::new());
                in_first = true;
            }
            c if is_word(c) && in_first && depth == 1 => segments.last_mut().expect("starts with one").push(c),
            c if c.is_whitespace() => {}
            _ => in_first = false,
        }
        if depth == 0 {
            break;
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

/// Blanks comments and the insides of literals; keeps every line end.
pub fn without_comments_and_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let follows_word = out.chars().next_back().is_some_and(is_word);
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| !follows_word) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character_literal(rest) {
            quoted(rest, '\'')
        } else {
            0
        };
        if skipped == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            if !rest.starts_with('/') {
                out.push_str("\"\"");
            }
            out.extend(rest[..skipped].chars().filter(|&c| c == '\n'));
            rest = &rest[skipped..];
        }
    }
    out
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    for (at, _) in rest.char_indices() {
        if rest[at..].starts_with("/*") {
            depth += 1;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    rest.len()
}

/// Length of the raw string that begins here (`r"..."`, `br#"..."#`), if one does.
fn raw_string(rest: &str) -> Option<usize> {
    let hashes_at = if rest.starts_with("br") { 2 } else { usize::from(rest.starts_with('r')) };
    let hashes = rest[hashes_at..].chars().take_while(|&c| c == '#').count();
    let body = rest[hashes_at + hashes..].strip_prefix('"').filter(|_| hashes_at > 0)?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(hashes_at + hashes + 1 + length)
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_character_literal(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

/// Blanks each item under `#[cfg(test)]`, `#[cfg(all(test, ...))]` or `#[test]`; keeps every line end.
pub fn without_test_items(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = ["#[cfg(test)", "#[cfg(all(test", "#[test]"].iter().filter_map(|mark| rest.find(mark)).min() {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let body =
            item.find(['{', ';']).map_or(item.len(), |body| if item[body..].starts_with('{') { body } else { 0 });
        let end = if body == 0 { item.find(';').map_or(item.len(), |at| at + 1) } else { body + braced(&item[body..]) };
        out.extend(item[..end].chars().filter(|&c| c == '\n'));
        rest = &item[end..];
    }
    out + rest
}

/// Length of the `{...}` that begins here.
fn braced(rest: &str) -> usize {
    let mut depth = 0;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_literals_and_keeps_lines() {
        let text = "a /* b /* c */\n d */ e // f\n'g' 'h: &'i \"j\\\"\nk\" r#\"l\"m\"# n";
        assert_eq!(without_comments_and_strings(text), "a \n e \n\"\" 'h: &'i \"\"\n \"\" n");
    }

    #[test]
    fn finds_tags_and_their_lines() {
        let text = "<!doctype html>\n<p>1 < 2</p>\n<script src=\"a.js\"\n  defer></script><br/>";
        assert_eq!(tags(text), [(2, "p"), (3, "script src=\"a.js\"\n  defer"), (4, "br")]);
    }

    #[test]
    fn finds_links_outside_code() {
        let text = "[a](b.md#c) `[d](e)`\n```\n[f](g)\n```\n[h](i.md \"title\")";
        assert_eq!(markdown_links(text), [(1, "b.md#c"), (5, "i.md")]);
    }
}
