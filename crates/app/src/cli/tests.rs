//! Tests of the help texts.

use super::*;

const SETTINGS: &str = "receiptd settings";

/// Returns the short and the long help of every command, with the command's full name.
fn help_texts() -> Vec<(String, String)> {
    fn collect(command: &mut clap::Command, texts: &mut Vec<(String, String)>) {
        let name = command.get_bin_name().unwrap_or("receiptd").to_owned();
        for text in [command.render_help(), command.render_long_help()] {
            texts.push((name.clone(), text.to_string()));
        }
        for below in command.get_subcommands_mut() {
            if below.get_name() != "help" {
                collect(below, texts);
            }
        }
    }
    let mut command = Cli::definition();
    command.build();
    let mut texts = Vec::new();
    collect(&mut command, &mut texts);
    assert!(texts.len() > 80, "{}", texts.len());
    texts
}

#[test]
fn no_help_line_is_wider_than_80_columns() {
    for (command, text) in help_texts() {
        for line in text.lines() {
            assert!(line.chars().count() <= HELP_WIDTH, "{command}: {line:?}");
        }
    }
}

#[test]
fn json_is_an_output_option_of_every_command() {
    for (command, text) in help_texts() {
        if command != SETTINGS {
            let (_, output) = text.split_once("\nOutput:\n").expect(&command);
            assert!(
                output.trim_start().starts_with("--json"),
                "{command}: {text}"
            );
        }
    }
}

#[test]
fn settings_are_shown_by_help_settings_only() {
    let settings = config::help();
    let flags = settings.lines().filter_map(|line| {
        let (_, flag) = line.strip_prefix("  RECEIPTD_")?.split_once('(')?;
        flag.strip_suffix(')')
    });
    let flags: Vec<_> = flags.collect();
    assert_eq!(flags.len(), 38, "{settings}");
    for (command, text) in help_texts() {
        if command == SETTINGS {
            assert_eq!(text.trim_end(), settings.trim_end());
            continue;
        }
        assert!(text.contains(WHERE_SETTINGS_ARE), "{command}: {text}");
        for flag in &flags {
            let own = ["--public-url", "--keep-messages-days"].contains(flag);
            let is_shown = text.contains(&format!("{flag} "));
            assert!(
                !is_shown || own && command.contains("channel"),
                "{command}: {flag}"
            );
        }
    }
}

#[test]
fn help_settings_names_each_variable_with_flag_and_default() {
    let settings = config::help();
    for expected in [
        "Storage:\n",
        "Listeners:\n",
        "  RECEIPTD_QUEUE (--queue)\n",
        "Default: 4096\n",
        "  RECEIPTD_PUSH_PAUSE_AFTER_HOURS (--push-pause-after)\n",
    ] {
        assert_eq!(
            settings.matches(expected).count(),
            1,
            "{expected}: {settings}"
        );
    }
}
