//! What the table of keys holds to.

use super::*;

#[test]
fn no_place_has_a_key_twice() {
    for (n, it) in KEYS.iter().enumerate() {
        for other in &KEYS[n + 1..] {
            let twice = it.keys.iter().find(|key| it.at == other.at && other.keys.contains(key));
            assert!(twice.is_none(), "{:?} in {:?}: {} and {}", twice, it.at, it.help, other.help);
        }
    }
}

#[test]
fn every_line_says_what_it_does_and_every_place_is_in_the_help() {
    for it in KEYS {
        assert!(!it.help.is_empty() && !it.keys.is_empty());
        assert!(At::ALL.contains(&it.at), "{:?}", it.at);
    }
}

#[test]
fn letters_are_text_where_one_writes() {
    let writing = [At::Lines, At::Writing, At::Compose, At::Global];
    for key in [ch('q'), ch('1'), ch(':'), ch('n'), ch('?')] {
        assert_eq!(resolve(&writing, key), None, "{key:?}");
    }
    assert_eq!(resolve(&writing, on(KeyCode::Esc)), Some(Action::Back));
    assert_eq!(resolve(&writing, ctrl('s')), Some(Action::Submit));
    assert_eq!(resolve(&writing, ctrl('c')), Some(Action::Leave));
    assert_eq!(resolve(&[At::Confirm], ctrl('c')), Some(Action::Leave));
}

#[test]
fn the_nearer_place_wins() {
    let accounts = [At::Accounts, At::List, At::Global];
    assert_eq!(resolve(&accounts, ch('n')), Some(Action::Connect));
    assert_eq!(resolve(&[At::List, At::Global], ch('n')), Some(Action::New));
    assert!(here(&accounts).iter().any(|it| it.action == Action::New), "it is still there by Ctrl-N");
}

#[test]
fn keys_are_named_as_people_read_them() {
    assert_eq!(ctrl('s').name(), "Ctrl-S");
    assert_eq!(alt('v').name(), "Alt-V");
    assert_eq!(ch('D').name(), "D");
    assert_eq!(on(KeyCode::PageDown).name(), "PgDn");
    let event = KeyEvent::new(KeyCode::Char('D'), KeyModifiers::SHIFT);
    assert_eq!(Key::of(&event), ch('D'));
}
