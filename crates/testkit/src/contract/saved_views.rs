//! What every [`SavedViewStore`] must do.

use domain::saved_view::SAVED_VIEWS_MAX;
use domain::{ConsolePath, SavedView, SavedViewId, SavedViewName};
use ports::SavedViewStore;
use ports::saved_views::SavedViewChange;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Stores;
use crate::builders::time;

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __saved_views_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            saved_views_are_listed_by_the_bytes_of_their_names
            name_or_id_in_use_changes_nothing
            one_of_many_racing_views_with_a_name_is_saved
            removed_view_is_returned_once_and_its_name_is_free
            there_are_no_more_views_than_allowed
        }
    };
}

type Views = Stores<dyn SavedViewStore>;

fn view(number: u128, name: &str) -> SavedView {
    SavedView {
        id: SavedViewId(Uuid::from_u128(number)),
        name: SavedViewName::parse(name).expect("a name"),
        path: ConsolePath::parse(&format!("/console/messages?code={number}&a=%22"))
            .expect("a path"),
        created_at: time(1_795_370_777_000_001),
    }
}

async fn save(store: &dyn SavedViewStore, view: &SavedView) -> SavedViewChange {
    store.save_view(view).await.expect("the store is there")
}

async fn all(store: &dyn SavedViewStore) -> Vec<SavedView> {
    store.saved_views().await.expect("the store is there")
}

pub async fn saved_views_are_listed_by_the_bytes_of_their_names(stores: Views) {
    let names = ["b", "Ä 'x' \"y\"", "B", "a"];
    let views: Vec<_> = names
        .into_iter()
        .zip(1..)
        .map(|(name, n)| view(n, name))
        .collect();
    for view in &views {
        assert_eq!(save(&*stores.one, view).await, SavedViewChange::Done);
    }
    let expected = [2, 3, 0, 1].map(|place: usize| views[place].clone());
    assert_eq!(all(&*stores.other).await, expected);
}

pub async fn name_or_id_in_use_changes_nothing(stores: Views) {
    let store = &*stores.one;
    let first = view(1, "a");
    assert_eq!(save(store, &first).await, SavedViewChange::Done);
    assert_eq!(save(store, &view(2, "a")).await, SavedViewChange::Exists);
    assert_eq!(save(store, &view(1, "b")).await, SavedViewChange::Exists);
    assert_eq!(all(store).await, [first]);
}

pub async fn one_of_many_racing_views_with_a_name_is_saved(stores: Views) {
    let mut racers = JoinSet::new();
    for number in 0..16_u8 {
        let store = stores.nth(number.into());
        racers.spawn(async move { save(&*store, &view(number.into(), "a")).await });
    }
    let changes = racers.join_all().await;
    let done = changes
        .iter()
        .filter(|change| **change == SavedViewChange::Done);
    assert_eq!(done.count(), 1);
}

pub async fn removed_view_is_returned_once_and_its_name_is_free(stores: Views) {
    let store = &*stores.one;
    let first = view(1, "a");
    save(store, &first).await;
    for expected in [Some(first.clone()), None] {
        let removed = stores.other.remove_view(first.id).await;
        assert_eq!(removed.expect("the store is there"), expected);
    }
    assert_eq!(save(store, &view(2, "a")).await, SavedViewChange::Done);
}

pub async fn there_are_no_more_views_than_allowed(stores: Views) {
    let store = &*stores.one;
    for number in 0..SAVED_VIEWS_MAX as u128 {
        let view = view(number, &number.to_string());
        assert_eq!(save(store, &view).await, SavedViewChange::Done);
    }
    let more = view(1_000, "more");
    assert_eq!(save(store, &more).await, SavedViewChange::Full);
    assert_eq!(all(store).await.len(), SAVED_VIEWS_MAX);
}
