//! A Rust file: the modules that it declares, and what it names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::lexing::{first_segments, is_word, names, without_comments_and_strings, without_test_items};

/// What the name of each of our metrics starts with. In two halves, so that this file does not hold it itself.
const METRIC_PREFIX: &str = concat!("high", "water_");

/// A Rust file.
pub struct Source {
    pub path: PathBuf,
    /// As written.
    pub text: String,
    /// Without comments, and with empty string and character literals; its lines are those of `text`.
    code: String,
    /// `code` without what is compiled for tests only.
    shipped: String,
}

/// A `mod name;` line.
pub struct Module {
    pub name: String,
    /// From 1.
    pub line: usize,
    /// True under `#[cfg(test)]` or the like.
    pub for_tests: bool,
    /// What `#[path = "..."]` names.
    path: Option<String>,
}

impl Source {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::new(path, text)
    }

    fn new(path: &Path, text: String) -> Self {
        let code = without_comments_and_strings(&text);
        let shipped = without_test_items(&code);
        Self { path: path.to_owned(), text, code, shipped }
    }

    /// The path as messages give it.
    pub fn name(&self) -> String {
        self.path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(&self.path).display().to_string()
    }

    pub fn code(&self) -> &str {
        &self.code
    }

    pub fn is_crate_root(&self) -> bool {
        self.module_path().is_empty() || self.module_path() == ["main"]
    }

    /// `["live", "book"]` for `src/live/book.rs`; empty for `src/lib.rs`.
    pub fn module_path(&self) -> Vec<String> {
        let below = self.path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap_or(&self.path);
        let parts: Vec<_> = below.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if parts == ["lib"] { Vec::new() } else { parts }
    }

    /// The lines, from 1, of shipped code that hold `name`.
    pub fn lines_naming(&self, name: &str) -> Vec<usize> {
        let lines = self.shipped.lines().enumerate();
        lines.filter(|(_, line)| names(line, name)).map(|(number, _)| number + 1).collect()
    }

    /// The names of metrics that are written out in it, comments and tests aside, with the line of each.
    pub fn metrics_named(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        // Lines in which shipped code has a literal; a literal goes on until the line that has its end.
        for (number, (text, shipped)) in self.text.lines().zip(self.shipped.lines()).enumerate() {
            let literals = shipped.matches("\"\"").count() > 0;
            for (at, _) in text.match_indices(METRIC_PREFIX).filter(|_| literals) {
                let before = text[..at].chars().next_back();
                let name: String = text[at..].chars().take_while(|&c| is_word(c)).collect();
                let is_lower = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                if !before.is_some_and(is_word) && is_lower && name.len() > METRIC_PREFIX.len() {
                    found.push((number + 1, name));
                }
            }
        }
        found
    }

    /// The modules at the top of the crate that shipped code names, with the line of each.
    pub fn top_level_modules_named(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        // `super::` once for each level leads to the top as well.
        let to_the_top = "super::".repeat(self.module_path().len().max(1));
        for prefix in ["crate::", "highwater::", &to_the_top] {
            for (at, _) in self.shipped.match_indices(prefix) {
                let before = self.shipped[..at].chars().next_back();
                if before.is_some_and(|c| is_word(c) || c == ':') {
                    continue;
                }
                let line = self.shipped[..at].matches('\n').count() + 1;
                let rest = &self.shipped[at + prefix.len()..];
                found.extend(first_segments(rest).into_iter().map(|segment| (line, segment)));
            }
        }
        found
    }

    pub fn declared_modules(&self) -> Vec<Module> {
        let mut modules = Vec::new();
        // The attributes of the item that follows, as written.
        let mut attributes: Vec<&str> = Vec::new();
        for (number, (code, text)) in self.code.lines().zip(self.text.lines()).enumerate() {
            let (code, text) = (code.trim(), text.trim());
            if code.starts_with("#[") {
                attributes.push(text);
                continue;
            }
            if let Some(name) = declared_module(code) {
                let path_of = |line: &&str| Some(line.strip_prefix("#[path = \"")?.strip_suffix("\"]")?.to_owned());
                modules.push(Module {
                    name: name.to_owned(),
                    line: number + 1,
                    for_tests: attributes.iter().any(|line| line.starts_with("#[cfg(") && names(line, "test")),
                    path: attributes.iter().find_map(path_of),
                });
            }
            if !code.is_empty() {
                attributes.clear();
            }
        }
        modules
    }

    /// The file of a module that this one declares, if it is there.
    pub fn file_of(&self, module: &Module, is_root: bool) -> Option<PathBuf> {
        let folder = self.path.parent()?;
        let below = if is_root { folder.to_owned() } else { self.path.with_extension("") };
        let file = match &module.path {
            Some(path) => folder.join(path),
            None => below.join(format!("{}.rs", module.name)),
        };
        file.is_file().then_some(file)
    }
}

/// The name in `mod name;`, with or without a visibility.
fn declared_module(code: &str) -> Option<&str> {
    let (visibility, name) = code.strip_suffix(';')?.rsplit_once("mod ")?;
    (visibility.is_empty() || visibility.starts_with("pub")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(file: &str, text: &str) -> Source {
        Source::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file), text.to_owned())
    }

    #[track_caller]
    fn check_named(file: &str, text: &str, expected: &[(usize, &str)]) {
        let found = source(file, text).top_level_modules_named();
        let found: Vec<_> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn finds_metrics_that_are_named_in_passing() {
        let metric = format!("{METRIC_PREFIX}sessions_active");
        let check = |text: &str, expected: &[usize]| {
            let found = source("src/http/routes.rs", text).metrics_named();
            assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), expected, "{text}");
        };
        check(&format!("fn f() {{\n    page.push_str(\"{metric} 1\");\n}}"), &[2]);
        check(&format!("const NAME: &str = \"{metric}\";"), &[1]);
        check(&format!("// \"{metric}\"\n/// `{metric}`\nfn f() {{}}"), &[]);
        check(&format!("#[cfg(test)]\nmod tests {{ const A: &str = \"{metric}\"; }}"), &[]);
        check("let path = \"highwater/v1\"; let variable = \"HIGHWATER_LISTEN\";", &[]);
    }

    #[test]
    fn finds_the_modules_that_are_named() {
        check_named(
            "src/live.rs",
            "use crate::model::Key;\nfn f() { crate::store::open(); }",
            &[(1, "model"), (2, "store")],
        );
        check_named("src/live.rs", "use crate::{\n    model::{self, Key},\n    api,\n};", &[(1, "model"), (1, "api")]);
        check_named("src/live.rs", "// crate::store\nlet x = \"crate::store\";", &[]);
        check_named("src/live.rs", "#[cfg(test)]\nmod tests { use crate::store; }\nuse super::app;", &[(3, "app")]);
        check_named("src/live/book.rs", "use super::meter;\nuse super::super::app;", &[(2, "app")]);
        check_named("src/main.rs", "use highwater::cli;", &[(1, "cli")]);
    }
}
