use super::*;
use crate::api::moment::Moment;

#[test]
fn a_secret_is_sent_and_never_shown() {
    let secret = || SecretText::new("sk-canary-canary".to_owned());
    let create = CreateConnection {
        secret: Some(secret()),
        ..CreateConnection::new("openai".parse().unwrap(), "main".parse().unwrap())
    };
    let put = PutSecret { secret: secret(), test: true };
    let shown = format!("{create:?} {create:#?} {put:?} {put:#?} {:?}", secret());
    assert!(!shown.contains("canary"), "{shown}");

    let sent = serde_json::to_string(&create).unwrap();
    assert_eq!(sent, r#"{"provider":"openai","name":"main","secret":"sk-canary-canary"}"#);
    assert_eq!(serde_json::from_str::<CreateConnection>(&sent).unwrap(), create);
    let sent = serde_json::to_string(&put).unwrap();
    assert_eq!(serde_json::from_str::<PutSecret>(&sent).unwrap(), put);
}

#[test]
fn a_refused_request_does_not_repeat_its_secret() {
    for json in [
        r#"{"provider":"openai","name":"main","secret":"canary","scret":"canary"}"#,
        r#"{"provider":"openai","name":"main","secret":["canary"]}"#,
        r#"{"provider":"openai","name":"main","secret":"canary","priority":-1}"#,
    ] {
        let error = serde_json::from_str::<CreateConnection>(json).unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn a_change_tells_absent_from_null() {
    let patch: PatchConnection = serde_json::from_str(r#"{"limit_group": null, "status": "disabled"}"#).unwrap();
    assert_eq!((patch.limit_group.clone(), patch.expires_at), (Some(None), None));
    assert!(patch.edits());
    assert_eq!(serde_json::to_string(&patch).unwrap(), r#"{"status":"disabled","limit_group":null}"#);
    let switch: PatchConnection = serde_json::from_str(r#"{"status": "enabled"}"#).unwrap();
    assert!(!switch.edits());
    let provider: PatchProvider = serde_json::from_str(r#"{"enabled": null}"#).unwrap();
    assert_eq!(provider.enabled, Some(None));
}

#[test]
fn a_misspelled_key_is_refused() {
    assert!(serde_json::from_str::<PatchConnection>(r#"{"limits": {"request_per_minute": 5}}"#).is_err());
    assert!(serde_json::from_str::<PatchProvider>(r#"{"enable": true}"#).is_err());
    assert!(serde_json::from_str::<PutSecret>(r#"{"secret": "x", "tset": true}"#).is_err());
}

#[test]
fn prices_are_shown_per_million_tokens() {
    use crate::api::money::{UsdEach, UsdPerMillion};
    use crate::api::{NanoUsd, PicoUsd};
    let rates = PriceRates {
        input: Some(UsdPerMillion(PicoUsd(400_000))),
        output: Some(UsdPerMillion(PicoUsd(1_600_000))),
        ..PriceRates::default()
    };
    let image = Some(UsdEach(PicoUsd::each("0.04").unwrap()));
    let price =
        Price { rates, image, tiers: vec![PriceTier { above_input_tokens: 200_000, rates }], ..Price::default() };
    let json = serde_json::to_string(&price).unwrap();
    let shown = r#""input":0.4,"output":1.6"#;
    assert_eq!(json, format!(r#"{{{shown},"image":0.04,"tiers":[{{"above_input_tokens":200000,{shown}}}]}}"#));
    assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), price);
    assert_eq!(NanoUsd(0).to_string(), "0.00");
}

#[test]
fn times_are_rfc_3339() {
    let expiring = PatchConnection { expires_at: Some(Some(Moment(1_700_000_000_123))), ..PatchConnection::default() };
    assert_eq!(serde_json::to_string(&expiring).unwrap(), r#"{"expires_at":"2023-11-14T22:13:20.123Z"}"#);
}
