//! `[[budgets]]`: what can be said, and what is said of what cannot.

use super::*;
use crate::api::NanoUsd;
use crate::config::{Most, OnExceed, Per, Spender};

#[test]
fn budgets_are_read_with_names_of_their_own_or_made_up_ones() {
    let text = "[[budgets]]\napp = \"translator\"\nper = \"day\"\nusd = 5\n\
                [[budgets]]\nname = \"calls\"\nconnection = \"openai:main\"\nper = \"month\"\nzone = \"Europe/Berlin\"\n\
                requests = 1_000\ntokens = 2_000_000\non_exceed = \"route:cheap\"";
    let all = daemon_in(text, None, &user()).unwrap().budgets;
    assert_eq!(
        (all[0].name.as_str(), all[0].per, &all[0].on_exceed),
        ("app-translator-day", Per::Day, &OnExceed::Deny)
    );
    assert_eq!(all[0].most, Most { usd: Some(NanoUsd(5_000_000_000)), ..Most::default() });
    assert_eq!(all[1].of, Spender::Connection("openai:main".parse().unwrap()));
    assert_eq!((all[1].zone.iana_name(), all[1].most.tokens), (Some("Europe/Berlin"), Some(2_000_000)));
    assert_eq!(all[1].on_exceed, OnExceed::Route("cheap".parse().unwrap()));
}

#[test]
fn everything_that_is_wrong_with_them_is_said_with_its_place() {
    let text = "[[budgets]]\nper = \"week\"\nusd = 1\n\
                [[budgets]]\napp = \"a\"\nfeature = \"b\"\nper = \"day\"\ntokens = 1\n\
                [[budgets]]\napp = \"a\"\n\
                [[budgets]]\napp = \"a\"\nper = \"day\"\nusd = 0\nrequests = 0\non_exceed = \"stop\"\n\
                [[budgets]]\napp = \"a\"\nper = \"day\"\nusd = \"5\"\n\
                [[budgets]]\napp = \"a\"\nper = \"hour\"\ntokens = 1\n\
                [[budgets]]\napp = \"a\"\nper = \"hour\"\ntokens = 2\n\
                [[budgets]]\napp = \"a\"\nper = \"hour\"\ntokens = 2\nover = 1\n";
    let said = shown(&daemon_in(text, None, &user()).unwrap_err().errors);
    for part in [
        "budgets[0]: names nobody: write app = \"name\", feature = \"name\" or connection = \"provider:name\"",
        "budgets[0].per: unknown word \"week\"",
        "budgets[1]: names more than one of app, feature and connection: write a budget for each",
        "budgets[2]: per is missing: write per = \"hour\", \"day\" or \"month\"",
        "budgets[2]: limits nothing: write usd = 5.00, tokens = 1_000_000 or requests = 500",
        "budgets[3].usd: must be more than nothing",
        "budgets[3].requests: write a whole number, at least 1",
        "budgets[3].on_exceed: write \"deny\", \"warn\", or \"route:\" with the name of a route behind it",
        "budgets[4].usd: write a number of USD, without quotes, not text",
        "budgets[6]: the budget in line",
        "budgets[7].over: unknown key",
    ] {
        assert!(said.iter().any(|one| one.contains(part)), "{part} is not in {said:#?}");
    }
}
