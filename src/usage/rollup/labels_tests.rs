//! What an app makes up is bounded, and what it is counted as does not depend on when it is asked.

use super::super::super::testing::record;
use super::*;

fn labelled(app: &str, feature: &str, model: &str) -> UsageRecord {
    UsageRecord {
        app: app.parse().unwrap(),
        feature: feature.parse().unwrap(),
        model_served: Some(model.into()),
        ..record(1)
    }
}

fn shown(labels: &Labels, set: Set) -> (String, String) {
    let text = |n: usize| labels.texts.text(set[n]).unwrap().to_owned();
    (text(FEATURE), text(MODEL))
}

#[test]
fn features_and_models_beyond_the_bound_are_other_and_it_is_told_once_per_app() {
    let mut labels = Labels::default();
    let most = bounds::ROLLUP_LABELS_PER_APP_MAX;
    let records: Vec<_> = (0..1_000).map(|n| labelled("inventive", &format!("f{n}"), &format!("m{n}"))).collect();
    let sets: Vec<_> = records.iter().map(|record| labels.take(record)).collect();
    assert_eq!(shown(&labels, sets[most - 1]), (format!("f{}", most - 1), format!("m{}", most - 1)));
    assert!(sets[most..].iter().all(|&set| shown(&labels, set) == ("other".into(), "other".into())));
    assert_eq!(labels.next_beyond(), Some("inventive"));
    assert_eq!(labels.next_beyond(), None);
    assert_eq!(labels.sets.len(), most + 1);

    let mixed = labels.take(&labelled("inventive", "f3", "unheard-of"));
    assert_eq!(shown(&labels, mixed), ("f3".into(), "other".into()));
    let another = labels.take(&labelled("modest", "unheard-of", "unheard-of"));
    assert_eq!(shown(&labels, another), ("unheard-of".into(), "unheard-of".into()), "other apps do not pay for it");
    assert_eq!(labels.next_beyond(), None);

    let mut known = Labels::default();
    labels.copy_to(&mut known);
    for (record, set) in records.iter().zip(sets) {
        let found = known.find(record);
        assert_eq!(shown(&known, found), shown(&labels, set));
    }
}

#[test]
fn combinations_are_bounded_too() {
    let mut labels = Labels::default();
    for n in 0..100 * 100 {
        labels.take(&labelled("inventive", &format!("f{}", n / 100), &format!("m{}", n % 100)));
    }
    assert_eq!(labels.sets.len(), bounds::ROLLUP_SETS_PER_APP_MAX + 1);
    assert_eq!(labels.next_beyond(), Some("inventive"));
    let known = labels.take(&labelled("inventive", "f0", "m0"));
    assert_eq!(shown(&labels, known), ("f0".into(), "m0".into()));
    let beyond = labels.take(&labelled("inventive", "f99", "m99"));
    assert_eq!(shown(&labels, beyond), ("other".into(), "other".into()));
}
