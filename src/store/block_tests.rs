//! Blocks read back as written, stay small, and never read as something else.

use proptest::prelude::*;

use super::*;
use crate::api::{CostSource, NanoUsd, Operation, Outcome, RequestId, Tokens};

pub(in crate::store) const DAY_MS: i64 = 86_400_000;
/// Noon of a day.
pub(in crate::store) const NOON_MS: i64 = 20_000 * DAY_MS + DAY_MS / 2;

/// A small generator, so that samples are the same each time.
fn random(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A record as an ordinary call leaves it.
pub(in crate::store) fn sample(at_ms: i64, seed: u64) -> UsageRecord {
    let pick = |salt: u64, below: u64| random(seed.wrapping_mul(31).wrapping_add(salt)) % below;
    let unique = (u128::from(random(seed ^ 0xabcdef)) << 64) | u128::from(random(seed ^ 0x123456) & !0xff);
    let request_id = RequestId::from_parts(u64::try_from(at_ms).unwrap(), unique);
    let ok = pick(1, 20) != 0;
    let connection = format!("openai:c{}", pick(2, 6));
    UsageRecord {
        id: RecordId(request_id.as_u128() | 1),
        request_id,
        at_ms,
        is_final: ok || pick(3, 2) == 0,
        app: ["translator", "shop", "www-data"][usize::try_from(pick(4, 3)).unwrap()].parse().unwrap(),
        feature: ["auto-translation", "trade-analysis", "multi-channel"][usize::try_from(pick(5, 3)).unwrap()]
            .parse()
            .unwrap(),
        provider: Some("openai".parse().unwrap()),
        connection: Some(connection.parse().unwrap()),
        model: "fast".into(),
        model_sent: Some("gpt-4.1-mini".into()),
        model_served: Some("gpt-4.1-mini-2025-04-14".into()),
        operation: Operation::Chat,
        stream: pick(6, 2) == 0,
        outcome: if ok { Outcome::Ok } else { Outcome::RateShort },
        status: Some(if ok { 200 } else { 429 }),
        tokens: Tokens {
            input: ok.then(|| pick(7, 4_000)),
            output: ok.then(|| pick(8, 800)),
            cached: ok.then_some(0),
            reasoning: None,
            ..Tokens::default()
        },
        cost: ok.then(|| NanoUsd(pick(7, 4_000) * 400 + pick(8, 800) * 1_600)),
        cost_source: ok.then_some(CostSource::Prices),
        estimated: false,
        partial: false,
        ttft_ms: ok.then(|| 200 + pick(9, 900)),
        duration_ms: 300 + pick(10, 5_000),
        error: (!ok).then(|| "Rate limit reached for gpt-4.1-mini in organization org-acme".into()),
    }
}

/// Records 4 ms apart, ordered by id.
pub(in crate::store) fn sample_records(count: u64) -> Vec<UsageRecord> {
    (0..count).map(|n| sample(NOON_MS + i64::try_from(n).unwrap() * 4, n)).collect()
}

fn unpacked(records: &[UsageRecord]) -> Vec<UsageRecord> {
    let values = pack(&records.iter().collect::<Vec<_>>(), 7).unwrap();
    let read = |(first, summary, value): &(RecordId, Summary, Vec<u8>)| {
        let block = record::decode::<Block>(&key(*first), value).unwrap();
        assert_eq!(block.summary, *summary);
        block.unpack().unwrap()
    };
    values.iter().flat_map(read).collect()
}

#[test]
fn ordinary_records_take_less_than_80_bytes_each_and_a_block_less_than_16_kib() {
    for count in [1_u64, 10, 64, 250, 1_000] {
        let records = sample_records(count);
        let values = pack(&records.iter().collect::<Vec<_>>(), 7).unwrap();
        let largest = values.iter().map(|(_, _, value)| value.len()).max().unwrap();
        let bytes: usize = values.iter().map(|(_, _, value)| value.len()).sum();
        println!(
            "{count} records: {} blocks, {} bytes a record, largest value {largest}",
            values.len(),
            bytes as u64 / count
        );
        assert!(largest <= bounds::STORE_VALUE_BYTES_MAX);
        assert!(count < 250 || (bytes as u64) < 80 * count);
        assert_eq!(unpacked(&records), records);
    }
}

#[test]
fn records_that_do_not_compress_are_split_over_more_blocks() {
    let mut records = sample_records(250);
    for (n, record) in records.iter_mut().enumerate() {
        let noise = (0..32).map(|salt| format!("{:016x}", random(n as u64 * 100 + salt)));
        record.error = Some(noise.collect());
    }
    let values = pack(&records.iter().collect::<Vec<_>>(), 7).unwrap();
    assert!(values.len() > 1);
    assert!(values.iter().all(|(_, _, value)| value.len() <= bounds::STORE_VALUE_BYTES_MAX));
    assert_eq!(unpacked(&records), records);
}

#[test]
fn texts_are_cut_at_their_bounds() {
    let mut record = sample(NOON_MS, 1);
    record.error = Some("ä".repeat(1_000));
    record.model_served = Some("m".repeat(1_000));
    let stored = &unpacked(&[record])[0];
    assert_eq!(stored.error.as_ref().unwrap().len(), bounds::ERROR_TEXT_BYTES_MAX);
    assert_eq!(stored.model_served.as_ref().unwrap().len(), bounds::MODEL_BYTES_MAX);
}

fn any_record() -> impl Strategy<Value = UsageRecord> {
    let slug = "[a-z0-9][a-z0-9._-]{0,20}";
    let names = (slug, slug, proptest::option::of((slug, slug)), ".{0,60}", proptest::option::of(".{0,60}"));
    let kind = (0..3_usize, 0..Outcome::ALL.len(), any::<Option<u16>>(), proptest::option::of(".{0,120}"));
    let numbers = proptest::array::uniform2(any::<Option<u64>>());
    let numbers = (numbers, proptest::array::uniform14(proptest::option::weighted(0.3, any::<u64>())));
    let ids = (any::<u128>(), any::<u128>(), any::<i64>(), any::<u64>());
    (names, kind, numbers, ids, any::<(bool, bool, bool, bool)>()).prop_map(|(names, kind, numbers, ids, flags)| {
        let connection = names.2.map(|(provider, name)| format!("{provider}:{name}").parse().unwrap());
        UsageRecord {
            id: RecordId(ids.0),
            request_id: RequestId::from_u128(ids.1),
            at_ms: ids.2,
            is_final: flags.0,
            app: names.0.parse().unwrap(),
            feature: names.1.parse().unwrap(),
            provider: connection.as_ref().map(|id: &crate::api::ConnectionId| id.provider.clone()),
            connection,
            model: names.3,
            model_sent: names.4.clone(),
            model_served: names.4,
            operation: [Operation::Chat, Operation::Embeddings, Operation::Models][kind.0],
            stream: flags.1,
            outcome: Outcome::ALL[kind.1],
            status: kind.2,
            tokens: Tokens::of_figures(numbers.1),
            cost: numbers.0[0].map(NanoUsd),
            cost_source: [None, Some(CostSource::Provider), Some(CostSource::Prices)][kind.0],
            estimated: flags.2,
            partial: flags.3,
            ttft_ms: numbers.0[1],
            duration_ms: ids.3,
            error: kind.3,
        }
    })
}

proptest! {
    #[test]
    fn any_records_read_back_as_written(records in proptest::collection::vec(any_record(), 0..40)) {
        prop_assert_eq!(unpacked(&records), records);
    }

    #[test]
    fn a_body_that_is_not_a_block_is_an_error_and_no_panic(body: Vec<u8>, format in 1..=2_u8) {
        if let Ok(block) = Block::from_body(format, &body) {
            let _ = block.unpack();
        }
    }
}
