//! A notice as HTML: tables and inline styles, since that is what mail clients know; the style sheet beside them is for
//! dark mode and small screens alone. It says all without pictures, and loads nothing from anywhere.

use crate::alert::{
    Facts, Folded, NoticeKind,
    mail::{
        days::{Day, days},
        kinds::{label, trouble},
        words::{
            self, Tone, clock, folded_at, held_back, holders, is_over, lead, lines, name_of_holder, number, of_holder,
            one_line, tone, week,
        },
    },
};

/// Of the width of the bar.
const FULL: u64 = 100;
/// A day of the picture that is narrower has no words under it.
const NARROWEST_DAY_PERCENT: u32 = 6;
const FONT: &str = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
/// Behind what a preview shows, so that it shows nothing else.
const PREVIEW_END: &str = "&#847;&zwnj;&nbsp;";
const PREVIEW_PAD: usize = 60;

const HEAD: &str = r#"<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no">
<style>
:root{color-scheme:light dark;supported-color-schemes:light dark}
a{text-decoration:none}
@media (max-width:480px){.pad{padding-left:20px!important;padding-right:20px!important}.big{font-size:34px!important}
.key{width:38%!important}}
@media (prefers-color-scheme:dark){
.ground{background:#0c0c0e!important}.card{background:#17171a!important;border-color:#2d2d33!important}
.text{color:#ececf0!important}.muted{color:#a6a6b0!important}.faint{color:#85858f!important}
.line{border-color:#2d2d33!important}.track{background:#2d2d33!important}
.amber{color:#f1ad4e!important}.red{color:#ff7d77!important}.blue{color:#82adff!important}.green{color:#5ecb93!important}
.amber-tint{background:#33280f!important}.red-tint{background:#3a1d1e!important}
.blue-tint{background:#1a2436!important}.green-tint{background:#14301f!important}
.main{background:#ececf0!important;border-color:#ececf0!important;color:#17171a!important}.other{border-color:#45454d!important;color:#ececf0!important}
}
</style>"#;

/// Colours of a tone: its class, text, tint behind text, and the bar.
struct Colours {
    class: &'static str,
    text: &'static str,
    tint: &'static str,
    bar: &'static str,
}

const fn colours(tone: Tone) -> Colours {
    match tone {
        Tone::Over => Colours { class: "green", text: "#12703f", tint: "#e8f6ee", bar: "#2f9e63" },
        Tone::Info => Colours { class: "blue", text: "#1f5fd6", tint: "#edf3ff", bar: "#4a7fe0" },
        Tone::Warning => Colours { class: "amber", text: "#9c5400", tint: "#fdf3df", bar: "#e69c34" },
        Tone::Critical => Colours { class: "red", text: "#c2211f", tint: "#fdecea", bar: "#e2524c" },
    }
}

/// The page of a mail. `pictured`: there is a picture with it.
pub fn html(facts: &Facts, pictured: bool) -> String {
    let mut body = String::new();
    push_head(&mut body, facts);
    push_bar(&mut body, facts);
    push_lead(&mut body, facts);
    push_buttons(&mut body, facts);
    push_lines(&mut body, facts);
    if pictured {
        push_picture(&mut body, facts);
    }
    push_holders(&mut body, facts);
    push_also(&mut body, facts);
    body.push_str(&row("0 32px 28px", ""));
    let (title, preview) = (escape(&words::state(facts)), escape(&lead(facts).join(" ")));
    let (pad, footer) = (PREVIEW_END.repeat(PREVIEW_PAD), footer(facts));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<title>{title}</title>\n{HEAD}\n</head>\n\
         <body class=\"ground\" style=\"margin:0;padding:0;background:#f1f1f4\">\n\
         <div style=\"display:none;max-height:0;overflow:hidden;mso-hide:all\">{preview}{pad}</div>\n\
         <table role=\"presentation\" class=\"ground\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" \
         bgcolor=\"#f1f1f4\" style=\"background:#f1f1f4\"><tr><td align=\"center\" style=\"padding:24px 12px\">\n\
         <table role=\"presentation\" class=\"card\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" \
         bgcolor=\"#ffffff\" style=\"max-width:600px;background:#ffffff;border:1px solid #e5e5e9;border-radius:12px\">\n\
         {body}</table>\n{footer}</td></tr></table>\n</body>\n</html>\n"
    )
}

/// A row of the card.
fn row(padding: &str, inner: &str) -> String {
    format!("<tr><td class=\"pad\" style=\"padding:{padding};{FONT}\">{inner}</td></tr>\n")
}

fn push_head(body: &mut String, facts: &Facts) {
    let Colours { class, text, tint, .. } = colours(tone(facts));
    let chip = |class: &str, text: &str, tint: &str, words: &str| {
        format!(
            "<span class=\"{class} {class}-tint\" style=\"display:inline-block;background:{tint};color:{text};\
             border-radius:6px;padding:3px 9px;font-size:13px;line-height:18px;font-weight:600\">{words}</span>"
        )
    };
    let mut chips = chip(class, text, tint, label(facts));
    if facts.simulated {
        let Colours { class, text, tint, .. } = colours(Tone::Info);
        chips.push_str("&nbsp; ");
        chips.push_str(&chip(class, text, tint, "Simulated"));
    }
    let project = if facts.project.is_across() { "Highwater" } else { facts.project.as_str() };
    let at = escape(&clock(facts.at, &facts.zone));
    let top = format!(
        "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\"><tr>\
         <td style=\"{FONT}\">{chips}</td><td class=\"muted\" align=\"right\" style=\"color:#5f5f69;font-size:13px;{FONT}\">\
         {} &middot; {at}</td></tr></table>",
        escape(project)
    );
    body.push_str(&row("24px 32px 0", &top));
    let spelled = match &facts.target {
        Some(target) if target.model().is_empty() => String::new(),
        Some(target) => format!("{} &middot; {}", escape(target.model()), target.kind().as_str()),
        None => String::new(),
    };
    let name = escape(&words::title(facts));
    let mut title = format!(
        "<div class=\"text\" style=\"color:#19191d;font-size:20px;line-height:26px;font-weight:600\">{name}</div>"
    );
    if !spelled.is_empty() {
        title.push_str(&format!(
            "<div class=\"faint\" style=\"color:#6f6f79;font-size:13px;line-height:20px;word-break:break-word\">{spelled}</div>"
        ));
    }
    body.push_str(&row("18px 32px 0", &title));
}

/// The level, large, and how much of the limit it is.
fn push_bar(body: &mut String, facts: &Facts) {
    if !facts.kind.is_of_level() || facts.notice == NoticeKind::Test {
        return;
    }
    let Colours { class, text, bar, .. } = colours(tone(facts));
    let level = number(facts.level);
    let limit = facts.limit.map(|limit| format!(" of {}", number(limit))).unwrap_or_default();
    let percent = facts.percent().map(|percent| format!("{} %", number(percent))).unwrap_or_default();
    let trend = match facts.trend {
        crate::alert::Trend::Rising => " &#8599; rising",
        crate::alert::Trend::Steady => "",
        crate::alert::Trend::Falling => " &#8600; falling",
    };
    let large = format!(
        "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\"><tr>\
         <td class=\"text big\" style=\"color:#19191d;font-size:42px;line-height:48px;font-weight:700;\
         letter-spacing:-0.02em;{FONT}\">{level}<span class=\"faint\" style=\"color:#6f6f79;font-size:22px;\
         font-weight:500;letter-spacing:0\">{limit}</span></td>\
         <td class=\"{class}\" align=\"right\" valign=\"bottom\" style=\"color:{text};font-size:16px;line-height:28px;\
         font-weight:600;{FONT}\">{percent}{trend}</td></tr></table>"
    );
    body.push_str(&row("10px 32px 0", &large));
    if let Some(percent) = facts.percent() {
        let filled = percent.min(FULL);
        let cell = |class: &str, width: u64, colour: &str, radius: &str| match width {
            0 => String::new(),
            _ => format!(
                "<td class=\"{class}\" width=\"{width}%\" height=\"8\" bgcolor=\"{colour}\" style=\"width:{width}%;\
                 height:8px;line-height:8px;font-size:0;background:{colour};border-radius:{radius}\">&nbsp;</td>"
            ),
        };
        let (left, right) = if filled == FULL { ("4px", "") } else { ("4px 0 0 4px", "0 4px 4px 0") };
        let bar = format!(
            "<table role=\"presentation\" aria-hidden=\"true\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
             border=\"0\"><tr>{}{}</tr></table>",
            cell("", filled, bar, left),
            cell("track", FULL - filled, "#e9e9ee", if filled == 0 { "4px" } else { right })
        );
        body.push_str(&row("8px 32px 0", &bar));
    }
}

fn push_lead(body: &mut String, facts: &Facts) {
    let mut said = Vec::new();
    if facts.target.is_some() && !facts.kind.is_of_level() && facts.notice != NoticeKind::Test {
        said.push(format!("{}.", words::capital(trouble(facts.kind, is_over(facts)))));
    }
    said.extend(lead(facts));
    let paragraph = |words: &str| {
        format!(
            "<div class=\"text\" style=\"color:#19191d;font-size:16px;line-height:24px;word-break:break-word\">{}</div>",
            escape(words)
        )
    };
    body.push_str(&row("18px 32px 0", &paragraph(&said.join(" "))));
    if !facts.detail.is_empty() {
        body.push_str(&row("8px 32px 0", &paragraph(&facts.detail)));
    }
}

fn push_buttons(body: &mut String, facts: &Facts) {
    let Some(base) = &facts.link_base else { return };
    let link = |path: &str| escape(&format!("{base}{path}"));
    let button = |class: &str, style: &str, path: &str, words: &str| {
        format!(
            "<a href=\"{}\" class=\"{class}\" style=\"display:inline-block;border-radius:8px;padding:10px 16px;\
             margin:0 8px 8px 0;font-size:15px;line-height:20px;font-weight:600;text-decoration:none;{style};{FONT}\">\
             {words}</a>",
            link(path)
        )
    };
    let main = "background:#19191d;color:#ffffff;border:1px solid #19191d";
    let other = "color:#19191d;border:1px solid #cfcfd6";
    let mut buttons = button("main", main, &facts.row_link, "Open the page");
    if facts.notice != NoticeKind::Test && !is_over(facts) {
        if facts.kind.is_of_level() {
            buttons.push_str(&button("other", other, &facts.request_link, "Ask for more"));
        }
        buttons.push_str(&button("other", other, &facts.snooze_link, "Snooze"));
    }
    body.push_str(&row("20px 32px 0", &buttons));
}

/// A heading over a part of the card, with a line above it.
fn push_heading(body: &mut String, words: &str) {
    let inner = format!(
        "<div class=\"line text\" style=\"border-top:1px solid #e5e5e9;padding-top:18px;color:#19191d;font-size:14px;\
         line-height:20px;font-weight:600\">{words}</div>"
    );
    body.push_str(&row("18px 32px 0", &inner));
}

/// A table of two columns.
fn two_columns(lines: impl Iterator<Item = (String, String)>) -> String {
    let line = |(of, what): (String, String)| {
        format!(
            "<tr><td class=\"muted key\" width=\"32%\" valign=\"top\" style=\"width:32%;color:#5f5f69;font-size:14px;\
             line-height:20px;padding:4px 12px 4px 0;{FONT}\">{of}</td><td class=\"text\" valign=\"top\" \
             style=\"color:#19191d;font-size:14px;line-height:20px;padding:4px 0;word-break:break-word;{FONT}\">\
             {what}</td></tr>\n"
        )
    };
    let lines: String = lines.map(line).collect();
    format!("<table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">{lines}</table>")
}

fn push_lines(body: &mut String, facts: &Facts) {
    let lines = lines(facts);
    if lines.is_empty() {
        return;
    }
    let inner = two_columns(lines.iter().map(|(of, what)| ((*of).to_owned(), escape(what))));
    let rule = format!("<div class=\"line\" style=\"border-top:1px solid #e5e5e9;padding-top:14px\">{inner}</div>");
    body.push_str(&row("16px 32px 0", &rule));
}

fn push_picture(body: &mut String, facts: &Facts) {
    let word = week(facts).map(|word| format!(": {word}")).unwrap_or_default();
    push_heading(body, &escape(&format!("The last seven days{word}")));
    let alt = escape(&words::picture(facts));
    let image = format!(
        "<img src=\"cid:week\" width=\"534\" alt=\"{alt}\" class=\"muted\" style=\"display:block;width:100%;height:auto;\
         border:0;color:#5f5f69;font-size:14px;line-height:20px;{FONT}\">"
    );
    body.push_str(&row("12px 32px 0", &image));
    let steps = facts.curve.peaks.len().max(1) as u32;
    let days: String = days(&facts.curve, &facts.zone).iter().map(|day| under(day, steps)).collect();
    let days = format!(
        "<table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" style=\"table-layout:fixed\">\
         <tr>{days}</tr></table>"
    );
    body.push_str(&row("4px 32px 0", &days));
    let limit = facts.curve.limits.iter().rev().flatten().next();
    let limit = limit.map(|limit| format!(" The line is the limit, {} now.", number(*limit))).unwrap_or_default();
    let note = format!(
        "<div class=\"faint\" style=\"color:#6f6f79;font-size:12px;line-height:18px\">Highest of each day.{limit}</div>"
    );
    body.push_str(&row("4px 32px 0", &note));
}

/// A day under the picture, as wide as it is there.
fn under(day: &Day, steps: u32) -> String {
    let percent = day.steps * 100 / steps;
    let width = f64::from(day.steps) * 100.0 / f64::from(steps);
    let words = match percent {
        0..NARROWEST_DAY_PERCENT => String::new(),
        _ => {
            let peak = day.peak.map_or_else(|| "&ndash;".to_owned(), number);
            let (class, colour) = if day.reached { ("red", "#c2211f") } else { ("text", "#19191d") };
            format!(
                "<span class=\"faint\" style=\"color:#6f6f79\">{}</span><br><span class=\"{class}\" \
                 style=\"color:{colour};font-weight:600\">{peak}</span>",
                day.date.strftime("%a")
            )
        }
    };
    format!(
        "<td width=\"{width:.2}%\" align=\"center\" style=\"width:{width:.2}%;font-size:12px;line-height:17px;{FONT}\">\
         {words}</td>"
    )
}

fn push_holders(body: &mut String, facts: &Facts) {
    let held = holders(facts);
    if held.is_empty() {
        return;
    }
    push_heading(body, "Who holds the most");
    let lines = held.iter().map(|holder| {
        let name = escape(&one_line(name_of_holder(holder)));
        let slots = if holder.slots == 1 { "slot" } else { "slots" };
        (of_holder(holder.of).to_owned(), format!("{name} &middot; {} {slots}", number(holder.slots)))
    });
    body.push_str(&row("6px 32px 0", &two_columns(lines)));
}

fn push_also(body: &mut String, facts: &Facts) {
    let held = held_back(facts);
    if facts.also.is_empty() && held.is_none() {
        return;
    }
    push_heading(body, "Also");
    if !facts.also.is_empty() {
        let line = |also: &Folded| {
            let name = escape(&words::about(also));
            let linked = |base: &String| {
                let link = escape(&format!("{base}{}", also.row_link));
                format!(
                    "<a href=\"{link}\" class=\"text\" style=\"color:#19191d;text-decoration:underline\">{name}</a>"
                )
            };
            let name = facts.link_base.as_ref().map_or(name.clone(), linked);
            (name, escape(&folded_at(also, &facts.zone)))
        };
        body.push_str(&row("6px 32px 0", &two_columns(facts.also.iter().map(line))));
    }
    if let Some(words) = held {
        let inner =
            format!("<div class=\"muted\" style=\"color:#5f5f69;font-size:14px;line-height:20px\">{words}</div>");
        body.push_str(&row("8px 32px 0", &inner));
    }
}

/// Below the card: whose mail it is, and how to end it. The card itself ends with some room.
fn footer(facts: &Facts) -> String {
    let zone = facts.zone.iana_name().unwrap_or("UTC");
    let unsubscribe = facts.unsubscribe_link.as_ref().map(|link| {
        format!(
            " <a href=\"{}\" class=\"muted\" style=\"color:#5f5f69;text-decoration:underline\">No more of these mails</a>",
            escape(link)
        )
    });
    let service = match facts.project.is_across() {
        true => "the service".to_owned(),
        false => format!("the project {}", escape(facts.project.as_str())),
    };
    format!(
        "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" \
         style=\"max-width:600px\"><tr><td class=\"muted\" align=\"center\" style=\"padding:16px 32px;color:#5f5f69;\
         font-size:12px;line-height:18px;{FONT}\">Highwater tells you of {service}. Times are of {}.{}</td></tr></table>\n",
        escape(zone),
        unsubscribe.unwrap_or_default()
    )
}

/// As text of HTML, and within quotes; on one line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in one_line(text).chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}
