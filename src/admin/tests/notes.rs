//! What user interfaces keep.

use serde_json::json;

use super::*;

#[test]
fn notes_are_replaced_merged_and_kept() {
    let house = House::new();
    house.add("openai:main", Some("sk-first"));
    let (admin, openai, main) = (&house.admin, "openai".parse().unwrap(), id("openai:main"));
    let merge = |json| NotesChange::Merge(settings(json));
    assert_eq!(admin.ui_preferences(&openai).unwrap(), Object::new());
    admin.change_ui_preferences(&openai, NotesChange::Replace(settings(json!({"a": 1, "b": {"c": 2}})))).unwrap();
    let after = admin.change_ui_preferences(&openai, merge(json!({"a": null, "b": {"d": 3}}))).unwrap();
    assert_eq!(after, settings(json!({"b": {"c": 2, "d": 3}})));
    admin.change_ui_metadata(&main, merge(json!({"owner": "team a"}))).unwrap();
    let house = house.reopened();
    let admin = &house.admin;
    assert_eq!(
        (admin.ui_preferences(&openai).unwrap(), admin.provider(&openai).unwrap().ui_preferences),
        (after.clone(), after)
    );
    assert_eq!(admin.connection(&main).unwrap().ui_metadata, settings(json!({"owner": "team a"})));
    assert_eq!(admin.ui_metadata(&main).unwrap(), settings(json!({"owner": "team a"})));
}

#[test]
fn notes_that_cannot_be_kept_change_nothing() {
    let house = House::new();
    house.add("openai:main", Some("sk-first"));
    let (admin, openai) = (&house.admin, "openai".parse().unwrap());
    let secret = || settings(json!({"note": "sk-0123456789abcdef0123"}));
    let at = |param: &str| (Code::InvalidRequest, Some(param.to_owned()));
    assert_eq!(refused(admin.change_ui_preferences(&openai, NotesChange::Merge(secret()))), at("ui_preferences"));
    let patch = PatchProvider { ui_preferences: Some(secret()), ..PatchProvider::default() };
    assert_eq!(refused(admin.change_provider(&openai, patch)), at("ui_preferences"));
    assert_eq!(
        refused(admin.change_ui_metadata(&id("openai:main"), NotesChange::Replace(secret()))),
        at("ui_metadata")
    );
    let create = CreateConnection { ui_metadata: Some(secret()), ..create("openai:other") };
    assert_eq!(refused(admin.add_connection(create)), at("ui_metadata"));
    let large = settings(json!({"a": "x".repeat(crate::bounds::NOTES_BYTES_MAX)}));
    assert_eq!(refused(admin.change_ui_metadata(&id("openai:main"), NotesChange::Replace(large))), at("ui_metadata"));
    assert_eq!(admin.ui_metadata(&id("openai:main")).unwrap(), Object::new());
    let declared = admin.change_ui_metadata(&id("local:declared"), NotesChange::Merge(Object::new()));
    assert_eq!(refused(declared).0, Code::Conflict);
}
