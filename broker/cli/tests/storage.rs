//! `ottla storage` says what Apache Kafka 4.3.1's `kafka-storage.sh` says: each line here was seen there.

use std::path::Path;
use std::process::{Command, Output};

const ID: &str = "4L6g3nShT-eMCtK--X86sw";

fn ottla(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ottla")).arg("storage").args(args).output().unwrap()
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn prints(args: &[&str], expected: &str) {
    assert_eq!(said(&ottla(args)), (0, format!("{expected}\n"), String::new()), "{args:?}");
}

#[track_caller]
fn refuses(args: &[&str], expected: &str) {
    assert_eq!(said(&ottla(args)), (1, String::new(), format!("{expected}\n")), "{args:?}");
}

fn config(dir: &Path, replaced: &[(&str, &str)]) -> String {
    let data = dir.join("data");
    let mut lines = vec![
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.bootstrap.servers", "127.0.0.1:20801".to_owned()),
        ("listeners", "PLAINTEXT://127.0.0.1:20800,CONTROLLER://127.0.0.1:20801".to_owned()),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("log.dirs", data.display().to_string()),
    ];
    for (key, value) in replaced {
        lines.retain(|(k, _)| k != key);
        lines.push((key, (*value).to_owned()));
    }
    let text: String =
        lines.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k}={v}\n")).collect();
    let path = dir.join("server.properties");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

const RECORDS: &str = "BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(name='metadata.version', \
featureLevel=30) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='eligible.leader.replicas.version', \
featureLevel=1) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='group.version', featureLevel=1) at version \
0), ApiMessageAndVersion(FeatureLevelRecord(name='share.version', featureLevel=1) at version 0), \
ApiMessageAndVersion(FeatureLevelRecord(name='streams.version', featureLevel=1) at version 0), \
ApiMessageAndVersion(FeatureLevelRecord(name='transaction.version', featureLevel=2) at version 0)], \
metadataVersionLevel=30, source=format command)";

#[test]
fn versions_and_features_are_looked_up() {
    prints(
        &["version-mapping"],
        "metadata.version=30 (4.3-IV0)\nkraft.version=1\ntransaction.version=2\ngroup.version=1\n\
         eligible.leader.replicas.version=1\nshare.version=1\nstreams.version=1",
    );
    prints(
        &["version-mapping", "-r", "3.9.1"],
        "metadata.version=21 (3.9.1)\nkraft.version=1\ntransaction.version=0\ngroup.version=0\n\
         eligible.leader.replicas.version=0\nshare.version=0\nstreams.version=0",
    );
    prints(
        &["feature-dependencies", "-f", "transaction.version=2", "-f", "metadata.version=20"],
        "transaction.version=2 has no dependencies.\nmetadata.version=20 (3.8-IV0) has no dependencies.",
    );
    prints(
        &["feature-dependencies", "--feature", "eligible.leader.replicas.version=1"],
        "eligible.leader.replicas.version=1 requires:\n    metadata.version=23 (4.0-IV1)",
    );
    for (feature, why) in [
        ("foo=1", "Unknown feature: foo"),
        (
            "transaction.version=99",
            "Feature level 99 is not supported for feature transaction.version",
        ),
        ("metadata.version=99", "Unknown metadata.version 99"),
        (
            "transaction.version",
            "Invalid feature format: transaction.version. Expected format: 'feature=version' (e.g. 'group.version=1')",
        ),
        ("transaction.version=x", "Invalid version format: x for feature transaction.version"),
    ] {
        refuses(&["feature-dependencies", "--feature", feature], why);
    }
}

#[test]
fn mistakes_in_options_are_told_in_argparses_layout() {
    refuses(
        &[],
        "usage: kafka-storage [-h]\n                     \
         {info,format,version-mapping,feature-dependencies,random-uuid}\n                     ...\n\
         kafka-storage: error: too few arguments",
    );
    refuses(
        &["bogus"],
        "usage: kafka-storage [-h]\n                     \
         {info,format,version-mapping,feature-dependencies,random-uuid}\n                     ...\n\
         kafka-storage:  error:  invalid  choice:   'bogus'   (choose  from  'info',\n'format', 'version-mapping', \
         'feature-dependencies', 'random-uuid')",
    );
    refuses(
        &["info"],
        "usage: kafka-storage info [-h] --config CONFIG\nkafka-storage: error: argument --config/-c is required",
    );
    let usage = "usage: kafka-storage format [-h] --config CONFIG --cluster-id CLUSTER_ID
                     [--add-scram ADD_SCRAM] [--ignore-formatted]
                     [--release-version RELEASE_VERSION]
                     [--feature FEATURE] [--standalone |
                     --no-initial-controllers |
                     --initial-controllers INITIAL_CONTROLLERS]\n";
    refuses(
        &["format", "-c", "x"],
        &format!("{usage}kafka-storage: error: argument --cluster-id/-t is required"),
    );
    refuses(
        &["format", "-c", "x", "-t", ID, "--standalone", "--no-initial-controllers"],
        &format!(
            "{usage}kafka-storage: error:  argument  --no-initial-controllers/-N:  not  allowed\nwith argument \
             --standalone/-s"
        ),
    );
    refuses(
        &["format", "-c", "x", "-t", ID, "-s", "--bogus"],
        &format!("{usage}kafka-storage: error: unrecognized arguments: '--bogus'"),
    );
}

#[test]
fn a_node_is_formatted_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = config(dir.path(), &[]);
    let data = dir.path().join("data").display().to_string();
    let not_there = format!("Found problem:\n  {data} does not exist\n\n");
    assert_eq!(said(&ottla(&["info", "-c", &file])), (1, not_there, String::new()));
    prints(
        &["format", "-c", &file, "-t", ID, "--standalone"],
        &format!(
            "Bootstrap metadata: {RECORDS}\nFormatting dynamic metadata voter directory {data} with metadata.version \
             4.3-IV0."
        ),
    );
    let (code, out, _) = said(&ottla(&["info", "-c", &file]));
    assert_eq!(code, 0);
    assert!(
        out.starts_with(&format!(
            "Found log directory:\n  {data}\n\nFound metadata: {{cluster.id={ID}, "
        )),
        "{out}"
    );
    refuses(
        &["format", "-c", &file, "-t", ID, "-s"],
        &format!(
            "Log directory {data} is already formatted. Use --ignore-formatted to ignore this directory and format the \
             others."
        ),
    );
    prints(
        &["format", "-c", &file, "-t", ID, "-s", "-g"],
        "All of the log directories are already formatted.",
    );
    let other = ottla(&["format", "-c", &file, "-t", "AAAAAAAAAAAAAAAAAAAAAg", "-s", "-g"]);
    let (code, out, why) = said(&other);
    assert_eq!((code, out.as_str()), (1, ""));
    let start = format!(
        "Invalid cluster.id in: {data}/meta.properties. Expected AAAAAAAAAAAAAAAAAAAAAg, but read {ID}"
    );
    assert!(why.starts_with(&start), "{why}");
}

#[test]
fn several_directories_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (one, two) = (at("d1"), at("d2"));
    let file = config(dir.path(), &[("log.dirs", &format!("{one},{two}"))]);
    prints(
        &["format", "-c", &file, "-t", ID, "-N"],
        &format!(
            "Bootstrap metadata: {RECORDS}\nFormatting metadata directory {one} with metadata.version 4.3-IV0.\n\
             Formatting data directory {two} with metadata.version 4.3-IV0."
        ),
    );
    std::fs::remove_dir_all(&two).unwrap();
    let (code, out, _) = said(&ottla(&["info", "-c", &file]));
    assert_eq!(code, 1);
    assert!(out.ends_with(&format!("Found problem:\n  {two} does not exist\n\n")), "{out}");
    prints(
        &["format", "-c", &file, "-t", ID, "-N", "-g"],
        &format!(
            "Bootstrap metadata: {RECORDS}\nFormatting data directory {two} with metadata.version 4.3-IV0."
        ),
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = config(dir.path(), &[]);
    let id = "jghKNZ8kShKszGvxgJLbXA";
    for (args, why) in [
        (
            vec![],
            "Because controller.quorum.voters is not set on this controller, you must specify one of the following: \
             --standalone, --initial-controllers, or --no-initial-controllers.",
        ),
        (vec!["-I", "junk"], "No @ found in dynamic voter string."),
        (
            vec!["-s", "-f", "nope=1"],
            "Unsupported feature: nope. Supported features are: eligible.leader.replicas.version, group.version, \
             kraft.version, share.version, streams.version, transaction.version",
        ),
        (
            vec!["-s", "-f", "kraft.version=0"],
            "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags --standalone, \
             --initial-controllers, or --no-initial-controllers is used. For dynamic controllers support, try removing \
             the --feature flag for kraft.version.",
        ),
        (
            vec!["-s", "-f", "metadata.version=17", "-r", "3.9"],
            "Use --release-version instead of --feature metadata.version=X to avoid ambiguity.",
        ),
        (
            vec!["-s", "-f", "transaction.version"],
            "Can't parse feature=level string transaction.version: equals sign not found.",
        ),
        (
            vec!["-s", "-f", "eligible.leader.replicas.version=1", "-r", "3.9"],
            "eligible.leader.replicas.version could not be set to 1 because it depends on metadata.version level 23",
        ),
        (
            vec!["-s", "-r", "3.4", "-S", "SCRAM-SHA-256=[name=a,password=x]"],
            "SCRAM is only supported in metadata.version 3.5-IV2 or later.",
        ),
    ] {
        let all = [vec!["format", "-c", &file, "-t", ID], args].concat();
        refuses(&all, why);
    }
    assert!(!dir.path().join("data").exists());
    let broker = config(
        dir.path(),
        &[("process.roles", "broker"), ("listeners", "PLAINTEXT://127.0.0.1:20800")],
    );
    refuses(
        &["format", "-c", &broker, "-t", ID, "-s"],
        "You can only use --standalone on a controller.",
    );
    let voters = [
        ("controller.quorum.voters", "1@127.0.0.1:20801"),
        ("controller.quorum.bootstrap.servers", ""),
    ];
    let file = config(dir.path(), &voters);
    let own = format!("1@127.0.0.1:20801:{id}");
    refuses(
        &["format", "-c", &file, "-t", ID, "-I", &own],
        "You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If \
         you want to use dynamic quorum, please remove controller.quorum.voters and specify \
         controller.quorum.bootstrap.servers instead.",
    );
}

#[test]
fn the_binary_answers_to_kafkas_name() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("kafka-storage.sh");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ottla"), &link).unwrap();
    let output = Command::new(link).arg("random-uuid").output().unwrap();
    let (code, out, _) = said(&output);
    assert_eq!((code, out.trim_end().len()), (0, 22), "{out}");
}
