//! Where crashes hit: every label, on every class, as the first, second and third crash of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sendoff::platforms::Class;

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

/// Every cell that must be hit: (class, label).
pub(crate) fn cells() -> Vec<(Class, Label)> {
    CLASSES.iter().flat_map(|(class, _)| reachable(*class).into_iter().map(|it| (*class, it))).collect()
}

/// The letter of a class.
pub(crate) fn letter(class: Class) -> char {
    CLASSES.iter().find(|it| it.0 == class).unwrap().1
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Coverage {
    hits: BTreeMap<(char, Label, usize), u64>,
}

impl Coverage {
    pub(crate) fn count(&mut self, class: Class, crashes: &[Label]) {
        for (n, label) in crashes.iter().enumerate() {
            *self.hits.entry((letter(class), *label, n.min(2))).or_default() += 1;
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
        for (class, label) in cells() {
            for n in 0..3 {
                let hits = self.hits.get(&(letter(class), label, n)).copied().unwrap_or(0);
                if hits < least {
                    thin.push(format!("{} {label:?} crash {}: {hits}", letter(class), n + 1));
                }
            }
        }
        thin
    }

    /// Classes in which a store was brought back fewer than `least` times.
    pub(crate) fn seldom_back(&self, least: u64) -> Vec<String> {
        let hits = |class| (0..3).filter_map(move |n| self.hits.get(&(class, Label::C16, n))).sum::<u64>();
        let thin = CLASSES.iter().map(|it| (it.1, hits(it.1))).filter(|it| it.1 < least);
        thin.map(|(class, hits)| format!("{class} C16: {hits}")).collect()
    }

    /// A table: a row per label, a column per class, first/second/third crash.
    pub(crate) fn table(&self) -> String {
        let mut out = format!("{:8}", "label");
        for (_, class) in CLASSES {
            let _ = write!(out, " {class:>16}");
        }
        let mut labels: Vec<Label> = cells().into_iter().map(|it| it.1).collect();
        labels.extend([Label::C16, Label::Between]);
        labels.sort();
        labels.dedup();
        for label in labels {
            let _ = write!(out, "\n{:8}", format!("{label:?}"));
            for (class, letter) in CLASSES {
                let hits = |n| self.hits.get(&(letter, label, n)).copied().unwrap_or(0);
                let any = matches!(label, Label::C16 | Label::Between);
                let cell = if any || reachable(class).contains(&label) {
                    format!("{}/{}/{}", hits(0), hits(1), hits(2))
                } else {
                    "-".into()
                };
                let _ = write!(out, " {cell:>16}");
            }
        }
        out
    }
}
