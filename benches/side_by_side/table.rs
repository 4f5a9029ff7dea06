//! The tables of a run: what each case does and does not do, the median of its rounds, and how the others stand to it.

use std::fmt::Write as _;

/// What the cases do and do not do, by their names.
const WHAT: &[(&str, &str, &str)] = &[
    (
        "Redis: function, one by one",
        "session key with an expiry, level of one meter, its highest level ever; each call waits for its answer",
        "pools, peaks by second, outcomes, durations, late and repeated events, leases by worker, history",
    ),
    ("Redis: function, pipeline of 100", "the same, a hundred calls sent together", "the same"),
    (
        "Redis: one function call for 100",
        "the same, in one call that loops over a hundred events",
        "the same; nothing else is answered meanwhile",
    ),
    (
        "Highwater: plain batch of 100",
        "levels and peaks by second of a meter and two pools, outcome, duration, ages, tombstones, lease, numbered \
         batches, a durable frame a second",
        "limits: a reported session is a fact",
    ),
    ("Highwater: columnar batch of 1,000", "the same", "the same"),
    ("empty tonic call", "HTTP/2 and gRPC, no byte of message either way", "anything"),
    ("same message, nothing done", "also decodes the request that Report gets", "anything with it; answers nothing"),
    (
        "Highwater: Report",
        "checks the request, looks up its meter, renews the lease, counts the event, answers when the lease ends",
        "what a stream does: snapshots, numbered batches",
    ),
    (
        "Redis: ZSET semaphore",
        "a sorted set a model: leases that ended are taken out, holders counted, one put in or taken out; each call waits for \
         its answer",
        "pools, order of those who wait, peaks, outcomes, history, who is refused and why",
    ),
    (
        "Highwater: Acquire, Release",
        "a slot of the model, of its kind and of the model across projects, all or none; the session counted as one that is \
         reported",
        "waiting, where there is room",
    ),
];

/// The case that the others of its table are compared with.
const BASES: [&str; 2] = ["Redis: function, pipeline of 100", "empty tonic call"];

#[derive(Default)]
pub struct Cases {
    groups: Vec<Group>,
}

struct Group {
    name: String,
    notes: Vec<String>,
    cases: Vec<(String, Vec<f64>)>,
}

impl Cases {
    fn group(&mut self, name: &str) -> &mut Group {
        if let Some(at) = self.groups.iter().position(|group| group.name == name) {
            return &mut self.groups[at];
        }
        self.groups.push(Group { name: name.to_owned(), notes: Vec::new(), cases: Vec::new() });
        self.groups.last_mut().expect("it was just put in")
    }

    /// A round's figure of a case, in nanoseconds.
    pub fn add(&mut self, group: &str, case: &str, nanos: f64) {
        let cases = &mut self.group(group).cases;
        match cases.iter_mut().find(|(name, _)| name == case) {
            Some((_, rounds)) => rounds.push(nanos),
            None => cases.push((case.to_owned(), vec![nanos])),
        }
    }

    pub fn note(&mut self, group: &str, note: &str) {
        self.group(group).notes.push(note.to_owned());
    }

    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for group in &self.groups {
            let base = group.cases.iter().find(|(name, _)| BASES.contains(&name.as_str()));
            let (base_name, base) = base.map_or(("", &[][..]), |(name, rounds)| (name.as_str(), rounds.as_slice()));
            let _ = writeln!(text, "### {}\n", group.name);
            let _ = writeln!(text, "| case | median, ns | all rounds, ns | of {base_name} | does | does not |");
            let _ = writeln!(text, "|---|---:|---|---:|---|---|");
            for (name, rounds) in &group.cases {
                // Of the same round, since what disturbs one case disturbs its neighbours.
                let ratios: Vec<_> = rounds.iter().zip(base).map(|(nanos, base)| nanos / base).collect();
                let all: Vec<_> = rounds.iter().map(|nanos| thousands(*nanos)).collect();
                let (_, does, does_not) = WHAT.iter().find(|(case, ..)| case == name).unwrap_or(&("", "", ""));
                let (median, ratio) = (thousands(median(rounds)), ratio(median_of(ratios)));
                let all = all.join(" ");
                let _ = writeln!(text, "| {name} | {median} | {all} | {ratio} | {does} | {does_not} |");
            }
            group.notes.iter().for_each(|note| text.push_str(&format!("\n{note}\n")));
            text.push('\n');
        }
        text
    }
}

/// 1/40 for a fortieth, 1.08 for a little more than all.
fn ratio(ratio: f64) -> String {
    if ratio < 0.5 { format!("1/{:.0}", 1.0 / ratio) } else { format!("{ratio:.2}") }
}

fn median(values: &[f64]) -> f64 {
    median_of(values.to_vec())
}

fn median_of(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A number with a comma between its thousands.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The machine's facts, in a line.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (cpu, memory) = (field(&read("/proc/cpuinfo"), "model name"), field(&read("/proc/meminfo"), "MemTotal"));
    let redis = std::process::Command::new("redis-server").arg("--version").output();
    let redis = redis.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    let redis = redis.split(' ').find_map(|word| word.strip_prefix("v=")).unwrap_or("none").to_owned();
    let (kernel, load) = (read("/proc/sys/kernel/osrelease"), read("/proc/loadavg"));
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cores} cores of {cpu}, {memory}, Linux {}, Redis {redis}, load {load} at the start", kernel.trim())
}
