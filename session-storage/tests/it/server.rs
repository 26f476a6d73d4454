//! The service as a child process: started on port 0, observed, stopped or killed by its own
//! process id.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a test waits for anything before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Accepts every line of the log; for tests that damage the directory on purpose.
pub(crate) const ANYTHING: &str = "";

/// The settings with which a service is started. Cloned and changed for a restart.
#[derive(Clone)]
pub(crate) struct Setup {
    storage: PathBuf,
    keep: Option<Arc<TempDir>>,
    env: Vec<(String, String)>,
    allowed: Vec<String>,
    open_files: Option<usize>,
    folder: Option<PathBuf>,
}

impl Setup {
    /// A new directory, inside one that nothing else writes to.
    pub(crate) fn new() -> Self {
        let outer = tempfile::Builder::new()
            .prefix("flight-")
            .tempdir()
            .unwrap();
        let mut setup = Self::on(outer.path().join("vault-of-the-service"));
        setup.keep = Some(Arc::new(outer));
        setup
    }

    /// An existing directory.
    pub(crate) fn on(storage: impl Into<PathBuf>) -> Self {
        // Directories created by tests get the same modes as those of the service, which warns
        // about wider ones.
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        Self {
            storage: storage.into(),
            keep: None,
            env: Vec::new(),
            allowed: Vec::new(),
            open_files: None,
            folder: None,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// Permits WARN and ERROR lines that contain this text.
    pub(crate) fn allow(mut self, text: &str) -> Self {
        self.allowed.push(text.to_owned());
        self
    }

    /// Limits the number of file descriptors of the process.
    pub(crate) fn open_files(mut self, most: usize) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Runs the binary in this working directory.
    pub(crate) fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    pub(crate) fn storage(&self) -> &Path {
        &self.storage
    }

    /// The directory that contains the storage directory.
    pub(crate) fn outside(&self) -> &Path {
        self.storage.parent().unwrap()
    }

    /// The command that runs the binary with this environment and nothing of the test's own.
    pub(crate) fn command(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_session-storage");
        let mut command = match self.open_files {
            None => Command::new(binary),
            Some(most) => {
                let mut shell = Command::new("/bin/sh");
                shell.args([
                    "-c",
                    &format!("ulimit -n {most} && exec \"$0\" \"$@\""),
                    binary,
                ]);
                shell
            }
        };
        command
            .env_clear()
            .env("PORT", "0")
            .env("HOST", "127.0.0.1")
            .env("STORAGE_PATH", &self.storage);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.env("RUST_LOG", "info").env("NO_COLOR", "1");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the binary to its end: a command other than the service, or a start that must fail.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        let mut command = self.command();
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let out = std::thread::spawn(move || read_all(&mut stdout));
        let err = std::thread::spawn(move || read_all(&mut stderr));
        let status = wait(&mut child, PATIENCE);
        let _ = child.kill();
        let _ = child.wait();
        let stdout = out.join().unwrap();
        let stderr = err.join().unwrap();
        let status = status.unwrap_or_else(|| panic!("{args:?} did not end\n{stdout}\n{stderr}"));
        Finished {
            code: status.code(),
            stdout,
            stderr,
        }
    }

    pub(crate) fn start(&self) -> TestServer {
        self.try_start().unwrap_or_else(|ended| {
            panic!(
                "the service did not say `listening on http://…`; its log:\n{}",
                ended.stderr
            )
        })
    }

    /// Starts the service; the error describes how it ended if it refused to start.
    pub(crate) fn try_start(&self) -> Result<TestServer, Finished> {
        self.start_as(self.command())
    }

    /// Starts the service with a umask of 000.
    pub(crate) fn start_open(&self) -> TestServer {
        let command = self.command();
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", "umask 000; exec \"$0\""])
            .arg(command.get_program())
            .env_clear();
        shell.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        self.start_as(shell)
            .unwrap_or_else(|ended| panic!("the service did not start: {}", ended.stderr))
    }

    fn start_as(&self, mut command: Command) -> Result<TestServer, Finished> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (tell, listening) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        let readers = vec![
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let listening = line
                        .split_once("listening on http")
                        .map(|(_, address)| address);
                    if let Some((_, address)) = listening.and_then(|rest| rest.split_once("://")) {
                        let _ = tell.send(address.trim().to_owned());
                    }
                }
            }),
            std::thread::spawn({
                let log = Arc::clone(&log);
                move || {
                    BufReader::new(stderr)
                        .lines()
                        .map_while(Result::ok)
                        .for_each(|line| log.lock().unwrap().push(line));
                }
            }),
        ];
        let address = listening.recv_timeout(PATIENCE);
        let mut server = TestServer {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            http: http_client(),
            setup: self.clone(),
            child,
            log,
            readers,
            judged: false,
        };
        let Some(address) = address
            .ok()
            .and_then(|a| a.trim_end_matches('/').parse().ok())
        else {
            server.judged = true;
            let ended = wait(&mut server.child, Duration::from_secs(1));
            let _ = server.child.kill();
            let _ = server.child.wait();
            for reader in server.readers.drain(..) {
                reader.join().unwrap();
            }
            let code = ended.and_then(|status| status.code());
            return Err(Finished {
                code,
                stdout: String::new(),
                stderr: server.log_text(),
            });
        };
        server.address = address;
        Ok(server)
    }
}

fn http_client() -> reqwest::Client {
    // Fails if another test has installed a provider already, and then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

fn read_all(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for the end of a child process, but never longer than `limit`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Calls `ask` repeatedly until it returns a value, for at most [`PATIENCE`].
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Repeats an attempt with more and more time until it succeeds. Some tests check what happens
/// before a time limit, and a busy machine may need more time than an idle one should have to wait.
/// The error of an attempt says what it was too late for.
pub(crate) async fn with_ever_more_time(
    mut attempt: impl AsyncFnMut(Duration) -> Result<(), String>,
) {
    let mut late = String::new();
    for seconds in [2, 8, 32] {
        match attempt(Duration::from_secs(seconds)).await {
            Ok(()) => return,
            Err(reason) => late = reason,
        }
    }
    panic!("too late even with the most time: {late}");
}

/// The result of running the binary.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The whole output.
    pub(crate) fn said(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

/// A running service. On drop it is killed and its log is checked.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    pub(crate) setup: Setup,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    judged: bool,
}

impl TestServer {
    /// Starts the service on a new directory.
    pub(crate) fn start() -> Self {
        Setup::new().start()
    }

    pub(crate) fn storage(&self) -> &Path {
        self.setup.storage()
    }

    /// The path `sessions/<id>/<name>`.
    pub(crate) fn file(&self, session: &str, name: &str) -> PathBuf {
        self.storage().join("sessions").join(session).join(name)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends SIGTERM; the service must end by itself within [`PATIENCE`] with exit code 0.
    pub(crate) fn stop(mut self) -> Setup {
        self.ask_to_stop();
        self.ended()
    }

    /// Sends SIGTERM and does not wait.
    pub(crate) fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for the end after [`Self::ask_to_stop`]; the exit code must be 0.
    pub(crate) fn ended(&mut self) -> Setup {
        let status = wait(&mut self.child, PATIENCE);
        let log = self.log_text();
        let status =
            status.unwrap_or_else(|| panic!("not ended {PATIENCE:?} after SIGTERM; log:\n{log}"));
        assert_eq!(
            status.code(),
            Some(0),
            "SIGTERM must end with 0; log:\n{log}"
        );
        self.judge();
        self.setup.clone()
    }

    /// Sends SIGKILL while other tasks continue to send requests.
    pub(crate) fn kill_now(&self) {
        self.signal(Signal::KILL);
    }

    /// Kills the service with SIGKILL and checks its log.
    pub(crate) fn kill(mut self) -> Setup {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.judge();
        self.setup.clone()
    }

    /// Shuts the service down cleanly and starts it again on the same directory.
    pub(crate) fn restart(self) -> Self {
        self.stop().start()
    }

    /// Kills the service and starts it again on the same directory.
    pub(crate) fn crash(self) -> Self {
        self.kill().start()
    }

    /// Returns the log so far.
    pub(crate) fn log_text(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Fails on WARN and ERROR lines and panics that the test has not permitted.
    fn judge(&mut self) {
        self.judged = true;
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let log = self.log.lock().unwrap().clone();
        let bad: Vec<&String> = log.iter().filter(|line| self.is_unlisted(line)).collect();
        assert!(
            bad.is_empty(),
            "unlisted lines in the service's log:\n{bad:#?}"
        );
    }

    fn is_unlisted(&self, line: &str) -> bool {
        let plain =
            line.contains(" WARN ") || line.contains("ERROR ") || line.contains("panicked at");
        let json = line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\"");
        (plain || json)
            && !self
                .setup
                .allowed
                .iter()
                .any(|allowed| line.contains(allowed.as_str()))
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.judged {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- log of the service on {}:\n{}",
                self.storage().display(),
                self.log_text()
            );
        } else {
            self.judge();
        }
    }
}
