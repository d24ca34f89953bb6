//! What a stranger with the disk could try, and the published vectors.

use std::collections::HashSet;

use super::*;

const KEY: [u8; KEY_BYTES] = *b"0123456789abcdef0123456789abcdef";
const PLACE: Place<'_> =
    Place { tree: "connections", record: &["openai", "main"], origin: "https://api.openai.com:443" };

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Test cases 13 to 16 of McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)".
#[test]
fn published_vectors_hold() {
    let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                 1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    let sealed = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                  8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
    let zeros = "00".repeat(32);
    for (key, nonce, plain, aad, sealed, tag) in [
        (&zeros[..], "00".repeat(12), "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
        (
            &zeros,
            "00".repeat(12),
            &zeros[..32],
            "",
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (key, "cafebabefacedbaddecaf888".into(), plain, "", sealed, "b094dac5d93471bdec1a502270e3cc6c"),
        (
            key,
            "cafebabefacedbaddecaf888".into(),
            &plain[..120],
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            &sealed[..120],
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ] {
        let cipher = Cipher::new(&hex(key).try_into().unwrap()).unwrap();
        let nonce = Nonce::from(<[u8; NONCE_BYTES]>::try_from(hex(&nonce)).unwrap());
        let (plain, aad) = (hex(plain), hex(aad));
        let both = cipher.key.encrypt(&nonce, Payload { msg: &plain, aad: &aad }).unwrap();
        assert_eq!(both, [hex(sealed), hex(tag)].concat());
        assert_eq!(cipher.key.decrypt(&nonce, Payload { msg: &both, aad: &aad }).unwrap(), plain);
    }
}

#[test]
fn a_nonce_never_repeats() {
    let cipher = Cipher::new(&KEY).unwrap();
    let seals = 200_000;
    let nonces: HashSet<Vec<u8>> =
        (0..seals).map(|_| cipher.seal(&PLACE, b"").unwrap()[1 + KEY_ID_BYTES..HEAD_BYTES].to_vec()).collect();
    assert_eq!(nonces.len(), seals);
}

#[test]
fn every_swap_of_two_records_is_noticed() {
    let cipher = Cipher::new(&KEY).unwrap();
    let names: Vec<String> = (0..50).map(|n| format!("c{n}")).collect();
    let place = |n: usize| names[n].as_str();
    let sealed: Vec<_> = (0..50)
        .map(|n| cipher.seal(&Place { record: &["openai", place(n)], ..PLACE }, place(n).as_bytes()).unwrap())
        .collect();
    let mut swaps = 0;
    for (at, record) in (0..50).flat_map(|at| sealed.iter().enumerate().map(move |record| (at, record))) {
        let opened = cipher.open(&Place { record: &["openai", place(at)], ..PLACE }, record.1);
        if at == record.0 {
            assert_eq!(opened.unwrap().as_slice(), place(at).as_bytes());
        } else {
            assert_eq!(opened.unwrap_err(), CipherError::Tampered);
            swaps += 1;
        }
    }
    assert_eq!(swaps, 50 * 49);
}

#[test]
fn a_record_opens_at_its_own_place_only() {
    let cipher = Cipher::new(&KEY).unwrap();
    let sealed = cipher.seal(&PLACE, b"canary").unwrap();
    assert_eq!(cipher.open(&PLACE, &sealed).unwrap().as_slice(), b"canary");
    for elsewhere in [
        Place { tree: "keys", ..PLACE },
        Place { record: &["openai", "other"], ..PLACE },
        Place { record: &["openaimain"], ..PLACE },
        Place { record: &["openai", "main", ""], ..PLACE },
        Place { origin: "https://api.openai.com:444", ..PLACE },
        Place { origin: "", ..PLACE },
    ] {
        assert_eq!(cipher.open(&elsewhere, &sealed).unwrap_err(), CipherError::Tampered, "{elsewhere:?}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let cipher = Cipher::new(&KEY).unwrap();
    let sealed = cipher.seal(&PLACE, b"canary").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut altered = sealed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(cipher.open(&PLACE, &altered).is_err(), "bit {bit}");
    }
    for end in 0..sealed.len() {
        assert!(cipher.open(&PLACE, &sealed[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn another_key_and_a_newer_format_are_named() {
    let (cipher, other) = (Cipher::new(&KEY).unwrap(), Cipher::new(&[7; KEY_BYTES]).unwrap());
    let mut sealed = cipher.seal(&PLACE, b"canary").unwrap();
    assert_eq!(
        other.open(&PLACE, &sealed).unwrap_err(),
        CipherError::OtherKey { sealed: cipher.id(), given: other.id() }
    );
    sealed[0] = FORMAT + 1;
    assert_eq!(cipher.open(&PLACE, &sealed).unwrap_err(), CipherError::Format(FORMAT + 1));
}

#[test]
fn a_worn_key_seals_no_more() {
    let cipher = Cipher::new(&KEY).unwrap();
    cipher.seals.store(bounds::SEALS_PER_KEY_MAX, Ordering::Relaxed);
    assert_eq!(cipher.seal(&PLACE, b"x").unwrap_err(), CipherError::Exhausted);
}
