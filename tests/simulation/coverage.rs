//! Where crashes hit: every label, on every class, as the first, second and third crash of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sendoff::domain::ids::PlatformName;
use sendoff::platforms::Class;

use super::cast;

/// The crash points of the guarantees' table. `Between` is any other gap between two happenings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Label {
    /// Before the claim is written.
    C1,
    /// After it.
    C2,
    /// An upload is done and not yet written down.
    C3,
    /// A container is made and not yet written down.
    C4,
    /// A handle is written down, and ends while the daemon is down.
    C5,
    /// Inside the intent's commit.
    C6,
    /// After it, before the call.
    C7,
    /// The request is half written.
    C8,
    /// It took effect, the answer is not read.
    C9,
    /// The answer is read, nothing is written.
    C10,
    /// Inside the commit of the answer.
    C11,
    /// After it, before the object is read back.
    C12,
    /// While looking: before, inside and after each step of it.
    C13,
    /// A token refresh is sent, its answer is lost.
    C14,
    /// Inside the store's recovery or ours.
    C15,
    /// The store is brought back from a copy. In no cell: a sweep of its own meets it.
    C16,
    Between,
}

/// The classes in the order of their letters, with what is written in reports.
pub(crate) const CLASSES: [(Class, char); 6] = [
    (Class::ClientId, 'A'),
    (Class::Key, 'B'),
    (Class::Handle, 'C'),
    (Class::Reference, 'D'),
    (Class::Listable, 'E'),
    (Class::Opaque, 'F'),
];

/// The labels a class can reach. c16, a store that is brought back from a copy, is met
/// by a sweep of its own. c3 needs uploads, which only the stand-ins of A and B
/// have; c4 and c5 need containers, which are class C.
pub(crate) fn reachable(class: Class) -> Vec<Label> {
    use Label as L;
    let mut all =
        vec![L::C1, L::C2, L::C6, L::C7, L::C8, L::C9, L::C10, L::C11, L::C12, L::C13, L::C14, L::C15];
    match class {
        Class::ClientId | Class::Key => all.push(L::C3),
        Class::Handle => all.extend([L::C4, L::C5]),
        Class::Reference | Class::Listable | Class::Opaque => {}
    }
    all.sort();
    all
}

/// The networks that share a class with another: a connector of our own, and a made-up one with more of
/// the class's trouble. What one of them meets says nothing of the other. The number: how many seeds of a
/// round each of its cells gets, by how rarely the others come to it and how many crashes it has room for.
pub(crate) const SHARED: [(Class, PlatformName, usize); 5] = [
    (Class::Handle, PlatformName::TikTok, 3),
    (Class::Handle, PlatformName::Facebook, 6),
    (Class::Handle, PlatformName::Instagram, 7),
    (Class::Opaque, PlatformName::Threads, 4),
    (Class::Opaque, PlatformName::Facebook, 5),
];

/// The columns of the table: a class, played by a network.
const COLUMNS: [(Class, PlatformName, &str); 9] = [
    (Class::ClientId, PlatformName::Bluesky, "A"),
    (Class::Key, PlatformName::Mastodon, "B"),
    (Class::Handle, PlatformName::TikTok, "C"),
    (Class::Handle, PlatformName::Facebook, "C facebook"),
    (Class::Handle, PlatformName::Instagram, "C instagram"),
    (Class::Reference, PlatformName::LinkedIn, "D"),
    (Class::Listable, PlatformName::X, "E"),
    (Class::Opaque, PlatformName::Threads, "F"),
    (Class::Opaque, PlatformName::Facebook, "F facebook"),
];

/// A class, played by a network.
struct Column {
    class: Class,
    network: PlatformName,
    /// By the whole of its connector ([`cast`]).
    own: bool,
    name: &'static str,
}

impl Column {
    fn reaches(&self) -> Vec<Label> {
        if self.own {
            cast::reachable(self.class, self.network)
        } else {
            reachable_on(self.class, self.network)
        }
    }
}

fn columns() -> Vec<Column> {
    let plain = COLUMNS.into_iter().map(|(class, network, name)| Column { class, network, own: false, name });
    let own =
        cast::PLAYED.into_iter().map(|(class, network, _, name)| Column { class, network, own: true, name });
    plain.chain(own).collect()
}

/// The labels that a network of a class can reach. A reel is uploaded, and its video does not end by
/// itself; photos on Facebook are uploaded, and nothing of them ends.
pub(crate) fn reachable_on(class: Class, network: PlatformName) -> Vec<Label> {
    let mut all = reachable(class);
    // Instagram fetches files itself.
    if (class, network) == (Class::Handle, PlatformName::Facebook) {
        all.retain(|it| *it != Label::C5);
    }
    if network == PlatformName::Facebook {
        all.push(Label::C3);
        all.sort();
    }
    all
}

/// A round of the cells of the networks that share a class.
pub(crate) fn shared_cells() -> Vec<(Class, PlatformName, Label)> {
    let of = |(class, network, weight): (Class, PlatformName, usize)| {
        let cells = reachable_on(class, network).into_iter().map(move |it| (class, network, it));
        cells.flat_map(move |it| std::iter::repeat_n(it, weight))
    };
    SHARED.into_iter().flat_map(of).collect()
}

/// Every cell of a class that must be hit: (class, label).
pub(crate) fn cells() -> Vec<(Class, Label)> {
    CLASSES.iter().flat_map(|(class, _)| reachable(*class).into_iter().map(|it| (*class, it))).collect()
}

/// The letter of a class.
pub(crate) fn letter(class: Class) -> char {
    CLASSES.iter().find(|it| it.0 == class).unwrap().1
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Coverage {
    hits: BTreeMap<(&'static str, Label, usize), u64>,
}

impl Coverage {
    /// `own`: by the whole of its connector.
    pub(crate) fn count(&mut self, class: Class, network: PlatformName, own: bool, crashes: &[Label]) {
        let all = columns();
        let column =
            all.iter().find(|it| (it.class, it.network, it.own) == (class, network, own)).unwrap().name;
        for (n, label) in crashes.iter().enumerate() {
            *self.hits.entry((column, *label, n.min(2))).or_default() += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (cell, n) in &other.hits {
            *self.hits.entry(*cell).or_default() += n;
        }
    }

    /// Reachable cells with fewer hits than `least`.
    pub(crate) fn thin(&self, least: u64) -> Vec<String> {
        let mut thin = Vec::new();
        for column in columns() {
            for label in column.reaches() {
                for n in 0..3 {
                    let hits = self.hits.get(&(column.name, label, n)).copied().unwrap_or(0);
                    if hits < least {
                        thin.push(format!("{} {label:?} crash {}: {hits}", column.name, n + 1));
                    }
                }
            }
        }
        thin
    }

    /// Classes in which a store was brought back fewer than `least` times.
    pub(crate) fn seldom_back(&self, least: u64) -> Vec<String> {
        let hits = |class: char| {
            let mine = self.hits.iter().filter(|it| it.0.0.starts_with(class) && it.0.1 == Label::C16);
            mine.map(|it| it.1).sum::<u64>()
        };
        let thin = CLASSES.iter().map(|it| (it.1, hits(it.1))).filter(|it| it.1 < least);
        thin.map(|(class, hits)| format!("{class} C16: {hits}")).collect()
    }

    /// A table: a row per label, a column per class, first/second/third crash.
    pub(crate) fn table(&self) -> String {
        let mut out = format!("{:8}", "label");
        for column in columns() {
            let _ = write!(out, " {:>13}", column.name);
        }
        let mut labels: Vec<Label> = cells().into_iter().map(|it| it.1).collect();
        labels.extend([Label::C16, Label::Between]);
        labels.sort();
        labels.dedup();
        for label in labels {
            let _ = write!(out, "\n{:8}", format!("{label:?}"));
            for column in columns() {
                let hits = |n| self.hits.get(&(column.name, label, n)).copied().unwrap_or(0);
                let any = matches!(label, Label::C16 | Label::Between);
                let cell = if any || column.reaches().contains(&label) {
                    format!("{}/{}/{}", hits(0), hits(1), hits(2))
                } else {
                    "-".into()
                };
                let _ = write!(out, " {cell:>13}");
            }
        }
        out
    }
}
