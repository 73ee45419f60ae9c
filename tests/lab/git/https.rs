//! Git over https: nginx before git-http-backend, with a certificate authority of its
//! own and one token for each user.

use nix::sys::signal::Signal;

use crate::command::Process;
use crate::git::{REPOSITORIES, for_account, wait_for_port};
use crate::lab::{OUTSIDE, OUTSIDE_NAME};
use crate::machine::Machine;
use crate::wait::wait_until;

/// Everything of this server that is not a repository.
const DIRECTORY: &str = "/srv/https";
/// Where nginx and git-http-backend meet.
const SOCKET: &str = "/run/git-https/fastcgi.sock";
/// While this file exists every answer is 503.
const UNAVAILABLE: &str = "/srv/https/unavailable";
const TOKENS: &str = "/srv/https/tokens";
const PORT: u16 = 443;

/// The https side of the git server.
#[derive(Debug)]
pub(crate) struct Https<'lab> {
    machine: &'lab Machine,
    nginx: Process,
    backend: Process,
}

/// What a client logs in with.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// User of the basic authentication.
    pub(crate) user: String,
    /// Its password.
    pub(crate) secret: String,
}

impl<'lab> Https<'lab> {
    #[track_caller]
    pub(super) fn start(machine: &'lab Machine) -> Self {
        certificates(machine);
        machine.put(TOKENS, "");
        machine.put(&format!("{DIRECTORY}/nginx.conf"), configuration());
        machine.exec(&["install", "-d", "-o", "git", "/run/git-https"]).ok();
        let socket = format!("unix:{SOCKET}");
        let backend = machine.spawn(&for_account(&["fcgiwrap", "-c", "4", "-s", &socket]));
        wait_until(super::START_LIMIT, "git-http-backend has its socket", || {
            machine.exists(SOCKET)
        });
        let mut nginx = machine.spawn(&["nginx", "-c", &format!("{DIRECTORY}/nginx.conf")]);
        wait_for_port(machine, &mut nginx, PORT);
        Self { machine, nginx, backend }
    }

    /// Address of a repository, by the server's number.
    pub(crate) fn url(name: &str) -> String {
        format!("https://{OUTSIDE}/{name}.git")
    }

    /// Address of a repository, by the server's name.
    pub(crate) fn url_by_name(name: &str) -> String {
        format!("https://{OUTSIDE_NAME}/{name}.git")
    }

    /// The certificate authority that signed the server's certificate, as PEM.
    #[track_caller]
    pub(crate) fn authority(&self) -> String {
        self.machine.read(&format!("{DIRECTORY}/ca.pem"))
    }

    /// A certificate authority that signed nothing here, as PEM.
    #[track_caller]
    pub(crate) fn foreign_authority(&self) -> String {
        self.machine.read(&format!("{DIRECTORY}/foreign.pem"))
    }

    /// Gives the user a token that may read and push. The same user again: the old
    /// token holds no more.
    #[track_caller]
    pub(crate) fn issue_token(&self, user: &str) -> Token {
        let secret = self.machine.exec(&["openssl", "rand", "-hex", "20"]).ok().trim().to_owned();
        self.expire_token(user);
        let tokens = self.machine.read(TOKENS);
        self.machine.put(TOKENS, format!("{tokens}{user}:{{PLAIN}}{secret}\n"));
        Token { user: user.to_owned(), secret }
    }

    /// Lets the user's token expire: its answer is 401 from now on.
    #[track_caller]
    pub(crate) fn expire_token(&self, user: &str) {
        let start = format!("{user}:");
        let others: Vec<String> = self
            .machine
            .read(TOKENS)
            .lines()
            .filter(|line| !line.starts_with(&start))
            .map(|line| format!("{line}\n"))
            .collect();
        self.machine.put(TOKENS, others.concat());
    }

    /// Every answer is 503 with `Retry-After`, or no longer.
    #[track_caller]
    pub(crate) fn set_unavailable(&self, unavailable: bool) {
        if unavailable {
            self.machine.put(UNAVAILABLE, "");
        } else {
            self.machine.remove(UNAVAILABLE);
        }
    }

    /// A black hole: connections are accepted and nothing is ever said, not even TLS.
    pub(crate) fn freeze(&self) {
        self.nginx.signal(Signal::SIGSTOP);
    }

    /// A black hole behind TLS: requests are accepted and never answered.
    pub(crate) fn freeze_answers(&self) {
        self.backend.signal(Signal::SIGSTOP);
    }

    /// Ends both kinds of black hole.
    pub(crate) fn thaw(&self) {
        self.backend.signal(Signal::SIGCONT);
        self.nginx.signal(Signal::SIGCONT);
    }
}

/// The authority, the server's certificate for its number and its name, and an
/// authority that has nothing to do with either.
fn certificates(machine: &Machine) {
    let path = |name: &str| format!("{DIRECTORY}/{name}");
    machine.put(
        &path("server.ext"),
        format!(
            "subjectAltName=IP:{OUTSIDE},DNS:{OUTSIDE_NAME}\nbasicConstraints=CA:FALSE\n\
             extendedKeyUsage=serverAuth\n"
        ),
    );
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    for (name, subject) in [("ca", "/CN=lab authority"), ("foreign", "/CN=another authority")] {
        let (key, certificate) = (path(&format!("{name}.key")), path(&format!("{name}.pem")));
        let mut words = vec!["openssl", "req", "-x509", "-days", "30", "-subj", subject];
        words.extend(new_key);
        words.extend(["-keyout", &key, "-out", &certificate]);
        machine.exec(&words).ok();
    }
    let [key, request, extensions, authority, authority_key, certificate] =
        ["server.key", "server.csr", "server.ext", "ca.pem", "ca.key", "server.pem"].map(path);
    let mut words = vec!["openssl", "req", "-subj", "/CN=lab git server"];
    words.extend(new_key);
    words.extend(["-keyout", &key, "-out", &request]);
    machine.exec(&words).ok();
    let words = ["openssl", "x509", "-req", "-days", "30", "-in", &request, "-CA", &authority];
    let more = [
        "-CAkey",
        &authority_key,
        "-CAcreateserial",
        "-extfile",
        &extensions,
        "-out",
        &certificate,
    ];
    machine.exec(&[words.as_slice(), more.as_slice()].concat()).ok();
}

/// All `fastcgi_param` stand in one place: a level with one of its own inherits none.
fn configuration() -> String {
    format!(
        "daemon off;
user root;
pid {DIRECTORY}/nginx.pid;
error_log stderr notice;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log {DIRECTORY}/access.log;
    client_max_body_size 0;
    client_body_temp_path {DIRECTORY}/body;
    fastcgi_temp_path {DIRECTORY}/fastcgi;
    server {{
        listen {OUTSIDE}:{PORT} ssl;
        ssl_certificate {DIRECTORY}/server.pem;
        ssl_certificate_key {DIRECTORY}/server.key;
        add_header Retry-After 2 always;
        if (-f {UNAVAILABLE}) {{ return 503; }}
        location / {{
            auth_basic \"git\";
            auth_basic_user_file {TOKENS};
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
            fastcgi_param GIT_PROJECT_ROOT {REPOSITORIES};
            fastcgi_param GIT_HTTP_EXPORT_ALL 1;
            fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol;
            fastcgi_param PATH_INFO $uri;
            fastcgi_param REMOTE_USER $remote_user;
            fastcgi_pass unix:{SOCKET};
        }}
    }}
}}
"
    )
}
