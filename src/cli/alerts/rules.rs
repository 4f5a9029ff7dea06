//! `highwater alerts rules`: what is watched, changed field by field, and what it would have fired.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::SignedDuration;

use crate::{
    alert::{AlertKind, Severity, rule},
    cli::{alerts::Answer, connect::Server, error::CliError},
    model::Kind,
    proto::{
        AlertRule, DeleteAlertRuleRequest, ListAlertRulesRequest, PreviewAlertRuleRequest, SetAlertRuleRequest,
        alert_rule::{Threshold, threshold::Level},
    },
};

#[derive(Args, Debug)]
pub struct RulesArgs {
    /// List, when nothing is said
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The rules of the project, those of the start first
    List,
    /// Change a rule, or make one; what is not said stays
    Set {
        /// Name of the rule
        rule: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Take a rule back: one of the start is as it was at the start
    Remove {
        /// Name of the rule
        rule: String,
    },
    /// What a rule would have fired in the last seven days; nothing is changed
    Preview {
        /// Name of the rule, which need not be there
        rule: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Args, Debug)]
struct ChangeArgs {
    /// What it is of, such as approaching, at-limit, workers-silent; needed of a rule that is made
    #[arg(long = "of", value_name = "ALERT")]
    kind: Option<AlertKind>,
    /// From this level on: 80% of the limit, or slots
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    from: Option<Level>,
    /// For so long, such as 2m; 0 for at once
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    hold: Option<Duration>,
    /// It ends below this level, in the unit of --from; else a tenth lower, or ten points of percent
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    ends_below: Option<Level>,
    /// When it has been below for so long
    #[arg(long, value_name = "SPAN", value_parser = span)]
    ends_after: Option<Duration>,
    /// How bad it is: info, warning or critical
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Severity>,
    /// It is told again after so long, 10m to 30d; 0 for never
    #[arg(long, value_name = "SPAN", value_parser = span)]
    repeat: Option<Duration>,
    /// Only of this kind, such as tts; any for all
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind_only: Option<i32>,
    /// Only of this model; an empty one for all
    #[arg(long, value_name = "MODEL")]
    model_only: Option<String>,
    /// It is in use
    #[arg(long, conflicts_with = "off")]
    on: bool,
    /// It is not in use
    #[arg(long)]
    off: bool,
}

/// `80%` or `16`.
fn level(typed: &str) -> Result<Level, String> {
    let number = |text: &str| text.trim().parse().ok();
    let level = match typed.strip_suffix('%') {
        Some(percent) => number(percent).map(Level::Percent),
        None => number(typed).map(Level::Slots),
    };
    level.ok_or_else(|| "is neither a share such as 80% nor slots such as 16".to_owned())
}

/// Of whole seconds; a number alone is of seconds.
fn span(typed: &str) -> Result<Duration, String> {
    let longest = Duration::from_secs(rule::LONGEST_REPEAT_SECONDS.into());
    let spelled = || typed.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    let span = typed.parse().ok().map(Duration::from_secs).or_else(spelled);
    let is_right = |span: &Duration| span.subsec_nanos() == 0 && *span <= longest;
    span.filter(is_right).ok_or_else(|| "is no span of whole seconds such as 90s, 2m or 1h, up to 30d".to_owned())
}

/// The number of a kind in the contract; 0 is any.
fn kind(typed: &str) -> Result<i32, String> {
    if typed == "any" { Ok(0) } else { typed.parse().map(|kind: Kind| kind as i32) }
}

fn to_wire(span: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(span).ok()
}

impl ChangeArgs {
    /// A rule as it is after the change.
    fn apply(self, name: &str, before: Option<AlertRule>) -> Result<AlertRule, CliError> {
        let of = self.kind.map(|kind| kind as i32);
        let mut rule = match (before, of) {
            (Some(before), _) => before,
            (None, Some(_)) => fresh(name),
            (None, None) => {
                let words =
                    format!("there is no rule {name}: say what it is --of, such as --of approaching --from 80%");
                return Err(CliError::Usage(words));
            }
        };
        let of_level = |level| Some(Threshold { level: Some(level) });
        rule.kind = of.unwrap_or(rule.kind);
        if let Some(from) = self.from {
            // An end in another unit, or above it, is none of it.
            let fits = match (from, rule.clear.and_then(|clear| clear.level)) {
                (Level::Percent(up), Some(Level::Percent(clear))) | (Level::Slots(up), Some(Level::Slots(clear))) => {
                    clear <= up
                }
                _ => false,
            };
            rule.threshold = of_level(from);
            rule.clear = rule.clear.filter(|_| fits);
        }
        if let Some(level) = self.ends_below {
            rule.clear = of_level(level);
        }
        rule.hold = self.hold.map_or(rule.hold, to_wire);
        rule.keep = self.ends_after.map_or(rule.keep, to_wire);
        rule.severity = self.severity.map_or(rule.severity, |severity| severity as i32);
        rule.repeat = match self.repeat {
            Some(Duration::ZERO) => None,
            Some(repeat) => to_wire(repeat),
            None => rule.repeat,
        };
        rule.only_kind = self.kind_only.unwrap_or(rule.only_kind);
        rule.only_model = self.model_only.unwrap_or(rule.only_model);
        rule.enabled = if self.on || self.off { self.on } else { rule.enabled };
        Ok(rule)
    }
}

/// What is not said of a rule that is made.
fn fresh(name: &str) -> AlertRule {
    AlertRule {
        name: name.to_owned(),
        enabled: true,
        keep: to_wire(Duration::from_secs(rule::KEEP_SECONDS.into())),
        severity: Severity::Warning as i32,
        ..AlertRule::default()
    }
}

/// Does what was asked.
pub(super) async fn run(server: &Server, project: &str, args: RulesArgs) -> Result<Answer, CliError> {
    let mut calls = server.alerts();
    let project = project.to_owned();
    let listed = async || {
        let request = ListAlertRulesRequest { project: project.clone() };
        Ok::<_, CliError>(server.answer(server.alerts().list_alert_rules(request)).await?.rules)
    };
    let named = async |name: &str| Ok::<_, CliError>(listed().await?.into_iter().find(|rule| rule.name == name));
    Ok(match args.action.unwrap_or(Action::List) {
        Action::List => Answer::Rules(listed().await?),
        Action::Set { rule, change } => {
            let rule = Some(change.apply(&rule, named(&rule).await?)?);
            let request = SetAlertRuleRequest { project: project.clone(), rule };
            Answer::Rules(server.answer(calls.set_alert_rule(request)).await?.rule.into_iter().collect())
        }
        Action::Remove { rule } => {
            let request = DeleteAlertRuleRequest { project: project.clone(), rule_name: rule };
            server.answer(calls.delete_alert_rule(request)).await?;
            Answer::Rules(listed().await?)
        }
        Action::Preview { rule, change } => {
            let rule = Some(change.apply(&rule, named(&rule).await?)?);
            let request = PreviewAlertRuleRequest { project: project.clone(), rule };
            Answer::Preview(server.answer(calls.preview_alert_rule(request)).await?)
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        change: ChangeArgs,
    }

    fn change(typed: &[&str], before: Option<AlertRule>) -> Result<AlertRule, CliError> {
        Typed::try_parse_from([&["x"], typed].concat()).unwrap().change.apply("ours", before)
    }

    #[test]
    fn what_is_not_said_of_a_rule_stays() {
        let made = change(&["--of", "approaching", "--from", "16", "--for", "2m", "--repeat", "1h"], None).unwrap();
        let slots = |slots| Some(Threshold { level: Some(Level::Slots(slots)) });
        assert_eq!(
            (made.threshold, made.clear, made.enabled),
            (slots(16), None, true),
            "the service says where it ends"
        );
        assert_eq!(made.hold.unwrap().seconds, 120);
        let lower = change(&["--ends-below", "12", "--kind-only", "tts"], Some(made)).unwrap();
        assert_eq!((lower.clear, lower.threshold), (slots(12), slots(16)));
        let changed = change(&["--off", "--repeat", "0", "--kind-only", "any"], Some(lower.clone())).unwrap();
        assert_eq!(changed, AlertRule { enabled: false, repeat: None, only_kind: 0, ..lower.clone() });
        let shares = change(&["--from", "90%"], Some(lower)).unwrap();
        assert_eq!(shares.clear, None, "an end in slots is none of a share");
    }

    #[test]
    fn a_rule_that_is_made_is_of_something() {
        assert!(change(&["--from", "80%"], None).is_err());
        assert!(Typed::try_parse_from(["x", "--from", "80 percent"]).is_err());
        assert!(Typed::try_parse_from(["x", "--for", "1500ms"]).is_err());
        assert!(Typed::try_parse_from(["x", "--on", "--off"]).is_err());
    }
}
