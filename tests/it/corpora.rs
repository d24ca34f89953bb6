//! What fuzzing found worth keeping (`tests/fuzz/corpus`), done again without a fuzzer: each input of each target, with
//! every entry of the tables.

use std::fs;
use std::path::Path;

#[path = "../fuzz/targets.rs"]
mod targets;

#[test]
fn every_corpus_passes_its_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut names: Vec<_> =
        fs::read_dir(&corpora).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for (name, target) in targets::TARGETS {
        names.retain(|other| other != name);
        let inputs = fs::read_dir(corpora.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut count = 0;
        for input in inputs {
            let file = input.unwrap().path();
            // Shown only where the test fails: which input did it.
            eprintln!("{}", file.display());
            let mut bytes = fs::read(&file).unwrap();
            target(&bytes);
            for entry in 0..targets::entries() {
                let Some(first) = bytes.first_mut() else { break };
                *first = u8::try_from(entry).unwrap();
                target(&bytes);
            }
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
    assert_eq!(names, [""; 0], "a corpus has a target");
}
