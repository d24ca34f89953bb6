use clap::{CommandFactory, Parser};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn the_commands_of_the_manual_are_understood() {
    for line in [
        "bursar serve",
        "bursar status --format json",
        "bursar --socket /a.sock reload",
        "bursar execute -m fast -f auto-translation --stream hello",
        "bursar execute -m openai/gpt-4.1-mini -",
        "bursar providers list",
        "bursar providers show openai",
        "bursar providers enable openai",
        "bursar providers disable openai",
        "bursar providers check openai",
        "bursar providers sync --dry-run --format json",
        "bursar providers sync --prune --map old=new --map older=newer",
        "bursar providers default openai main",
        "bursar providers preferences openai",
        "bursar providers preferences openai --merge {}",
        "bursar providers remove openai --cascade",
        "bursar config diff",
        "bursar doctor --format json",
        "bursar connections metadata openai:main --replace -",
        "bursar credentials confirm openai --name second",
        "bursar connections list --provider openai --status enabled --health ok",
        "bursar connections add openai:second --priority 2 --requests-per-minute 500 --set organization=org-1",
        "bursar connections add sandbox:main --no-secret",
        "bursar connections show openai:main",
        "bursar connections edit openai:main --requests-per-day none --no-limit-group",
        "bursar connections enable openai:main",
        "bursar connections disable openai:main",
        "bursar connections test openai:main",
        "bursar connections remove openai:main --yes",
        "bursar credentials set openai",
        "bursar credentials set openai --name second --test",
        "bursar credentials rotate openai:second",
        "bursar credentials remove openai -y",
        "bursar credentials list --format csv",
        "bursar health --check -v",
        "bursar usage --by feature,model --since 7d --step day --provider openai --app translator",
        "bursar explain req_019d4c1e22f07a1b00000000000001ff --format json",
        "bursar explain --dry-run --model fast --require vision,tools --feature f --connection one:a --tokens 9",
        "bursar events --follow --since 90m",
        "bursar check",
        "bursar check a.toml b.toml",
        "bursar keys init --force",
        "bursar completions bash",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for line in [
        "bursar",
        "bursar connections show openai",
        "bursar connections add openai:main --secret sk-canary",
        "bursar connections add openai:main --requests-per-minute 0",
        "bursar connections edit openai:main --limit-group a --no-limit-group",
        "bursar credentials set openai sk-canary",
        "bursar usage --by colour",
        "bursar usage --since yesterday",
        "bursar status --format xml",
        "bursar explain",
        "bursar explain 7",
        "bursar explain --dry-run",
        "bursar explain -m fast",
        "bursar explain --dry-run -m fast --require sight",
        "bursar explain req_019d4c1e22f07a1b00000000000001ff --dry-run -m fast",
        "bursar explain req_019d4c1e22f07a1b00000000000001ff -m fast",
        "bursar events --since yesterday",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), i32::from(exit::Exit::Usage as u8), "{line}");
    }
}

#[test]
fn every_command_and_every_option_has_a_text() {
    fn walk(command: &clap::Command) {
        assert!(command.get_about().is_some(), "{} has no text", command.get_name());
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{} {} has no text", command.get_name(), arg.get_id());
        }
        command.get_subcommands().filter(|command| command.get_name() != "help").for_each(walk);
    }
    let mut command = Cli::command();
    command.build();
    walk(&command);
}
