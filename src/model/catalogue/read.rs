//! Reads the text of a catalogue into one that is there already.

use crate::model::{
    catalogue::{Catalogue, CatalogueModel, Measure, Provider, TierSet, base},
    document::{self, Entry, Mistakes, Table},
    key::Meter,
    kind::{Kind, Unit},
    limit::MAX_SLOTS,
};

/// `known` with what the text says.
///
/// # Errors
/// Every mistake in the text.
pub(super) fn extend(known: &Catalogue, text: &str) -> Result<Catalogue, Mistakes> {
    document::read(text, |root, mistakes| {
        let mut catalogue = known.clone();
        root.only(&["providers", "models"], mistakes);
        let providers = root.table("providers", mistakes);
        for entry in providers.iter().flat_map(Table::entries) {
            if let Some(table) = entry.table(mistakes) {
                let provider = catalogue.providers.entry(entry.name.to_owned()).or_default();
                entry.name.clone_into(&mut provider.id);
                extend_provider(provider, &table, mistakes);
            }
        }
        let kinds = root.table("models", mistakes);
        for entry in kinds.iter().flat_map(Table::entries) {
            let (kind, table) = (model_kind(&entry, mistakes), entry.table(mistakes));
            let (Some(kind), Some(table)) = (kind, table) else { continue };
            for model in table.entries().filter_map(|entry| read_model(kind, &entry, mistakes)) {
                catalogue.models.entry(kind).or_default().insert(model.model.clone(), model);
            }
        }
        catalogue
    })
}

/// The kind that an entry is named by, which must be one of models.
fn model_kind(entry: &Entry<'_>, mistakes: &mut Mistakes) -> Option<Kind> {
    match entry.name.parse::<Kind>() {
        Ok(kind) if kind.has_model() => return Some(kind),
        Ok(_) => entry.wrong("has no models; one of llm, stt, tts, realtime is needed", mistakes),
        Err(problem) => entry.wrong(problem, mistakes),
    }
    None
}

fn extend_provider(provider: &mut Provider, table: &Table<'_>, mistakes: &mut Mistakes) {
    table.only(&["name", "limits", "facts", "units", "tiers"], mistakes);
    let name = match provider.name.is_empty() {
        true => table.required_text("name", mistakes),
        false => table.text("name", mistakes),
    };
    let texts = [
        (name, &mut provider.name),
        (table.text("limits", mistakes), &mut provider.limit_url),
        (table.text("facts", mistakes), &mut provider.facts),
    ];
    for (text, field) in texts {
        if let Some(text) = text {
            text.clone_into(field);
        }
    }
    let units = table.table("units", mistakes);
    for entry in units.iter().flat_map(Table::entries) {
        let (kind, unit) = (model_kind(&entry, mistakes), entry.spelled::<Unit>(mistakes));
        if let (Some(kind), Some(unit)) = (kind, unit) {
            provider.units.insert(kind, unit);
        }
    }
    if table.get("tiers").is_some() {
        let sets = table.tables("tiers", mistakes);
        provider.tiers = sets.iter().filter_map(|set| read_tiers(set, mistakes)).collect();
    }
}

fn read_tiers(table: &Table<'_>, mistakes: &mut Mistakes) -> Option<TierSet> {
    table.only(&["kind", "models", "measure", "source", "limits"], mistakes);
    let kind = table.required_text("kind", mistakes).and_then(|_| table.get("kind")?.spelled::<Kind>(mistakes));
    let models = table.get("models").map(|entry| entry.items(mistakes)).unwrap_or_default();
    let models = models.iter().filter_map(|model| Some(model.text(mistakes)?.to_owned())).collect();
    let measure = match table.text("measure", mistakes) {
        None | Some("slots") => Measure::Slots,
        Some("starts_per_minute") => Measure::StartsPerMinute,
        Some(other) => {
            table.wrong(format!("measure {other:?} is not known; it is one of slots, starts_per_minute"), mistakes);
            Measure::Slots
        }
    };
    let source = table.required_text("source", mistakes);
    if table.get("limits").is_none() {
        table.wrong("has no `limits`", mistakes);
    }
    let tiers = table.table("limits", mistakes);
    let tiers = tiers.iter().flat_map(Table::entries);
    let mut limits: Vec<_> =
        tiers.filter_map(|tier| Some((tier.name.to_owned(), tier.number(1..=MAX_SLOTS, mistakes)?))).collect();
    limits.sort_by_key(|(_, limit)| *limit);
    Some(TierSet { kind: kind?, models, measure, source: source?.to_owned(), limits })
}

/// A model: its name, or a table with its name and unit.
fn read_model(kind: Kind, entry: &Entry<'_>, mistakes: &mut Mistakes) -> Option<CatalogueModel> {
    let id = base(entry.name);
    if id != entry.name {
        entry.wrong(format!("has a suffix; {id:?} is needed"), mistakes);
        return None;
    }
    let meter = Meter::new(kind, id, "", None).map_err(|error| entry.wrong(error.problem, mistakes)).ok();
    let (name, unit) = if entry.value.is_table() {
        let table = entry.table(mistakes)?;
        table.only(&["name", "unit"], mistakes);
        let unit = table.get("unit").and_then(|unit| unit.spelled::<Unit>(mistakes));
        (table.required_text("name", mistakes), unit)
    } else {
        (entry.text(mistakes), None)
    };
    Some(CatalogueModel { kind, model: meter?.model, name: name?.to_owned(), unit })
}
