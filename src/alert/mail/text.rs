//! A notice as plain text: what is read where HTML is not.

use crate::alert::{
    Facts, NoticeKind,
    mail::words::{
        Line, about, folded_at, held_back, holders, is_over, lead, lines, name_of_holder, number, of_holder, one_line,
        state, title, week,
    },
};

/// Columns that what a line is of takes.
const LABEL: usize = 24;

pub fn text(facts: &Facts) -> String {
    let mut text = title(facts);
    if facts.target.is_some() && facts.notice != NoticeKind::Test {
        text.push_str(&format!(": {}", state(facts)));
    }
    text.push_str(".\n");
    if facts.simulated {
        text.push_str("Simulated, as all of this demo is.\n");
    }
    text.push_str(&format!("{}\n", lead(facts).join(" ")));
    if !facts.detail.is_empty() {
        text.push_str(&format!("{}\n", one_line(&facts.detail)));
    }
    text.push('\n');
    lines(facts).iter().for_each(|line| push_line(&mut text, line));
    if let Some(week) = week(facts) {
        push_line(&mut text, &("Its pattern", week.to_owned()));
    }
    push_holders(&mut text, facts);
    if !facts.also.is_empty() {
        text.push_str("\nAlso\n");
    }
    for also in &facts.also {
        text.push_str(&format!("  {}: {}\n", about(also), folded_at(also, &facts.zone)));
        let link = facts.link_base.as_ref().map(|base| one_line(&format!("{base}{}", also.row_link)));
        text.extend(link.map(|link| format!("    {link}\n")));
    }
    text.extend(held_back(facts).map(|words| format!("\n{words}\n")));
    push_links(&mut text, facts);
    text
}

fn push_line(text: &mut String, (of, what): &Line) {
    text.push_str(&format!("{of:<LABEL$}{}\n", one_line(what)));
}

fn push_holders(text: &mut String, facts: &Facts) {
    let held = holders(facts);
    if !held.is_empty() {
        text.push_str("\nWho holds the most\n");
    }
    for holder in held {
        let (of, name) = (of_holder(holder.of), one_line(name_of_holder(holder)));
        text.push_str(&format!("  {of} {name}: {}\n", number(holder.slots)));
    }
}

fn push_links(text: &mut String, facts: &Facts) {
    let Some(base) = &facts.link_base else { return };
    text.push('\n');
    push_line(text, &("Open the page", format!("{base}{}", facts.row_link)));
    if facts.notice != NoticeKind::Test && !is_over(facts) {
        push_line(text, &("Snooze it, or say seen", format!("{base}{}", facts.snooze_link)));
        if facts.kind.is_of_level() {
            push_line(text, &("Ask for more", format!("{base}{}", facts.request_link)));
        }
    }
    if let Some(link) = &facts.unsubscribe_link {
        push_line(text, &("No more of these mails", link.clone()));
    }
}
