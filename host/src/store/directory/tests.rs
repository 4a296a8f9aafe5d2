use super::*;

fn chosen(argument: Option<&str>, variables: &[(&str, &str)]) -> Result<Place, StoreError> {
    let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
    Place::choose(argument.map(OsStr::new), variable)
}

fn directory(path: &str) -> Place {
    Place::Directory(path.into())
}

#[test]
fn the_state_directory_is_the_first_that_somebody_names() {
    let all = [
        ("DOCKBELL_STATE", "/said"),
        ("STATE_DIRECTORY", "/var/lib/dockbell:/var/lib/other"),
        ("XDG_STATE_HOME", "/xdg"),
        ("HOME", "/home/me"),
    ];
    assert_eq!(chosen(Some("/argument"), &all).unwrap(), directory("/argument"));
    assert_eq!(chosen(None, &all).unwrap(), directory("/said"));
    assert_eq!(chosen(None, &all[1..]).unwrap(), directory("/var/lib/dockbell"));
    assert_eq!(chosen(None, &all[2..]).unwrap(), directory("/xdg/dockbell"));
    assert_eq!(chosen(None, &all[3..]).unwrap(), directory("/home/me/.local/state/dockbell"));
}

#[test]
fn none_keeps_nothing() {
    assert_eq!(chosen(Some("none"), &[]).unwrap(), Place::Memory);
    assert_eq!(chosen(None, &[("DOCKBELL_STATE", "none"), ("HOME", "/home/me")]).unwrap(), Place::Memory);
    // Another directory is meant by a name with a place.
    assert_eq!(chosen(Some("./none"), &[]).unwrap(), directory("./none"));
}

#[test]
fn empty_and_relative_variables_count_as_none() {
    let variables = [("DOCKBELL_STATE", ""), ("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", "state"), ("HOME", "/me")];
    assert_eq!(chosen(None, &variables).unwrap(), directory("/me/.local/state/dockbell"));
}

#[test]
fn without_a_home_the_error_says_what_to_name() {
    let error = chosen(None, &[("HOME", "")]).unwrap_err().to_string();
    assert!(error.contains("there is no home directory"), "{error}");
    assert!(error.contains("\nhint: name a directory with `--state` or `DOCKBELL_STATE`"), "{error}");
}

#[test]
fn a_new_directory_is_for_its_owner_alone_and_an_old_one_stays_as_it_is() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let base = tempfile::tempdir().unwrap();
    let new = base.path().join("a/b");
    prepare(&new, true).unwrap();
    assert_eq!(new.metadata().unwrap().mode() & 0o777, 0o700);

    let old = base.path().join("old");
    std::fs::create_dir(&old).unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o775)).unwrap();
    let (_, notices) = prepare(&old, true).unwrap();
    assert!(notices.contains(&Notice::Open { path: old.clone(), mode: 0o775 }), "{notices:?}");
    assert_eq!(old.metadata().unwrap().mode() & 0o777, 0o775);
}

#[test]
fn a_file_in_the_place_of_the_directory_or_above_it_is_named() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("state");
    std::fs::write(&file, "x").unwrap();
    let error = prepare(&file, false).unwrap_err().to_string();
    assert!(error.contains("it is no directory: `") && error.contains("\nhint: move the file away"), "{error}");
    let error = prepare(&file.join("below"), false).unwrap_err().to_string();
    assert!(error.contains("\nhint: a part of the path is a file"), "{error}");
}
