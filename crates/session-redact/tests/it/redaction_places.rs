//! Redaction of secrets that only their place indicates, not their shape or a name, and of
//! look-alikes of tokens, cookies and passwords. The tests count what must be found and what must
//! stay.

use serde_json::{Value, json};
use session_redact::count;

use crate::redaction::{Draw, Planted, base64_of, leaks, said, stored};
use crate::redaction_providers::{alphabet, drawn};

fn within(text: [&str; 2], secret: &str) -> Planted {
    Planted {
        kind: "",
        text: text.join(secret),
        secret: secret.to_owned(),
    }
}

/// Texts whose secret is indicated only by its place.
pub(crate) fn places(d: &mut Draw) -> Vec<Planted> {
    let secret = |d: &mut Draw| {
        format!(
            "{}{}{}",
            d.of(alphabet("A"), 6),
            d.of("0123456789", 3),
            d.of(alphabet("A"), 6)
        )
    };
    let pem = d.pem("RSA PRIVATE KEY", 12, "\n");
    let encoded = base64_of(format!("{pem}\n\n").as_bytes());
    vec![
        within(["Cookie: theme=dark; sessionid=", "; lang=en"], &secret(d)),
        within(
            [
                "GET / HTTP/1.1\r\nHost: x\r\nCookie: sid=",
                "\r\nAccept: */*\r\n",
            ],
            &d.of(alphabet("h"), 40),
        ),
        within(
            ["Set-Cookie: sid=", "; Path=/; HttpOnly; Secure"],
            &secret(d),
        ),
        within(["set-cookie: __Host-id=\"", "\"; Max-Age=3600"], &secret(d)),
        within(
            ["curl -H 'Cookie: a=b; token=", "' https://example.com"],
            &secret(d),
        ),
        within(
            ["curl https://example.com --cookie \"sid=", "\""],
            &secret(d),
        ),
        within(["curl -s -b sid=", " https://example.com"], &secret(d)),
        within(["document.cookie = \"id=", "; path=/\""], &secret(d)),
        within(["curl -u admin:", " https://example.com"], &secret(d)),
        within(["curl -u 'admin:", "' https://example.com"], &secret(d)),
        within(["curl -su \"admin:", "\" https://example.com"], &secret(d)),
        within(
            ["curl \"https://example.com/?a=1&b=2\" --user admin:", ""],
            &secret(d),
        ),
        within(
            [
                "curl -X POST \\\n  --proxy-user=me:",
                " \\\n  https://example.com",
            ],
            &secret(d),
        ),
        within(
            ["/usr/bin/curl -uadmin:", " https://example.com"],
            &secret(d),
        ),
        within(
            ["curl -u ", ": https://example.com"],
            &d.of(alphabet("A"), 32),
        ),
        within(["mysql -h db -u root -p", " app"], &secret(d)),
        within(["mysqldump -uroot -p'", "' app > dump.sql"], &secret(d)),
        within(
            ["docker exec db mariadb -uroot -p", " -e 'select 1'"],
            &secret(d),
        ),
        within(["sshpass -p ", " ssh root@example.com"], &secret(d)),
        within(["sshpass -p'", "' scp a b:"], &secret(d)),
        within(["curl https://example.com -u me:'", "'"], &secret(d)),
        within(["curl --user=\"me:", "\" https://example.com"], &secret(d)),
        within(
            ["run: curl -fsSL -u me:", " https://example.com | tar xz"],
            &secret(d),
        ),
        within(
            ["{\"command\":\"mysql -u root -p", "\",\"timeout\":10}"],
            &secret(d),
        ),
        within(
            ["{\"command\":\"sshpass -p ", "\",\"cwd\":\"/srv\"}"],
            &secret(d),
        ),
        within(["[\"app\", \"--password\", \"", "\"]"], &secret(d)),
        within(["redis-cli -h cache -a ", " ping"], &secret(d)),
        within(["mongosh -u app -p ", " db"], &secret(d)),
        within(
            ["docker login -u me -p ", " registry.example.com"],
            &secret(d),
        ),
        within(
            ["machine api.example.com login me password ", ""],
            &secret(d),
        ),
        within(
            [
                "machine api.example.com\n  login me\n  password ",
                "\nmachine x",
            ],
            &secret(d),
        ),
        within(["default login anonymous password ", ""], &secret(d)),
        within(
            [
                "users:\n- name: me\n  user:\n    client-key-data: ",
                "\n    x: y",
            ],
            &encoded,
        ),
        within(["    token: ", "\n"], &d.of(alphabet("A"), 40)),
        within(["data:\n  tls.key: ", "\n"], &encoded),
        within(
            [
                "env:\n- name: DB_PASSWORD\n  value: ",
                "\n- name: LEVEL\n  value: debug",
            ],
            &secret(d),
        ),
        within(
            ["        - name: API_TOKEN\n          value: \"", "\"\n"],
            &d.of(alphabet("A"), 24),
        ),
        within(
            ["env:\\n- name: DB_PASSWORD\\n  value: ", "\\n- name: X"],
            &secret(d),
        ),
        within(
            ["{\"name\":\"X_TOKEN\",\"value\":\"", "\"}"],
            &d.of(alphabet("A"), 24),
        ),
        within(["{'name': 'DB_PASSWORD', 'value': '", "'}"], &secret(d)),
        within(["<add key=\"SmtpPassword\" value=\"", "\" />"], &secret(d)),
        within(
            ["| Name | Value |\n|---|---|\n| DB_PASSWORD | ", " |"],
            &secret(d),
        ),
        within(["| `API_KEY` | `", "` | the key |"], &secret(d)),
        within(
            [
                "| user | password |\n|------|:--------:|\n| me   | ",
                " |\n",
            ],
            &secret(d),
        ),
        within(
            [
                "+------+-------------+\n| user | password    |\n+------+-------------+\n| me   | ",
                " |\n+--+",
            ],
            &secret(d),
        ),
        within(
            [" user | password\n------+---------\n me   | ", "\n(1 row)"],
            &secret(d),
        ),
        within(["\u{2502} DB_PASSWORD \u{2502} ", " \u{2502}"], &secret(d)),
        within(["\u{1b}[36mDB_PASSWORD\u{1b}[0m=", ""], &secret(d)),
        within(
            ["https://discord.com/api/webhooks/123456789012345678/", ""],
            &d.of(alphabet("w"), 68),
        ),
        within(
            [
                "https://example.blob.core.windows.net/c?sv=2022&sig=",
                "&se=2030",
            ],
            &format!("{}%3D", d.of(alphabet("A"), 43)),
        ),
    ]
}

/// Documents whose secret is indicated only by the strings around it.
pub(crate) fn documents(d: &mut Draw) -> Vec<(Value, String)> {
    let secret = |d: &mut Draw| {
        format!(
            "{}{}{}",
            d.of(alphabet("A"), 6),
            d.of("0123456789", 3),
            d.of(alphabet("A"), 6)
        )
    };
    let mut all = Vec::new();
    let mut with = |document: &dyn Fn(&str) -> Value| {
        let secret = secret(d);
        all.push((document(&secret), secret));
    };
    with(&|s| json!({"env": [{"name": "DB_PASSWORD", "value": s}]}));
    with(&|s| json!({"env": [{"name": "DB_PASSWORD", "type": "text", "value": s}]}));
    with(&|s| json!({"parameters": [{"ParameterKey": "DbPassword", "ParameterValue": s}]}));
    with(&|s| json!({"values": [{"key": "password", "value": s, "enabled": true}]}));
    with(&|s| json!({"headers": [{"name": "Cookie", "value": format!("a=b; sid={s}")}]}));
    with(&|s| json!({"headers": {"cookie": format!("a=b; sid={s}")}}));
    with(&|s| json!({"headers": {"Set-Cookie": format!("sid={s}; Path=/")}}));
    with(&|s| json!({"args": ["mysql", "-uroot", format!("-p{s}")]}));
    with(&|s| json!({"argv": ["sshpass", "-p", s, "ssh", "host"]}));
    with(&|s| json!({"argv": ["curl", "-s", "-u", format!("me:{s}"), "https://example.com"]}));
    with(&|s| json!({"argv": ["app", "--password", s]}));
    with(&|s| json!({"input": {"command": format!("mysql -uroot -p{s} app"), "timeout": 5}}));
    with(&|s| json!([{"name": "DB_PASSWORD", "meta": {"a": "}"}, "value": s}]));
    with(&|s| {
        serde_json::from_str(&format!("{{\"value\":\"{s}\",\"name\":\"DB_PASSWORD\"}}")).unwrap()
    });
    all
}

#[test]
fn secrets_are_found_by_the_place_where_they_stand() {
    let mut draw = Draw(12);
    let mut planted = 0;
    let mut missed = Vec::new();
    for _ in 0..20 {
        let texts = places(&mut draw)
            .into_iter()
            .flat_map(|Planted { text, secret, .. }| {
                let nested = json!({"output": json!({"stdout": text}).to_string()});
                [(json!({"text": text}), secret.clone()), (nested, secret)]
            });
        let reversed = |(document, secret): (Value, String)| (document.to_string(), secret);
        let all = texts.map(reversed).collect::<Vec<_>>();
        let all = all
            .into_iter()
            .chain(documents(&mut draw).into_iter().map(reversed));
        for (document, secret) in all {
            planted += 1;
            let after = stored(document.as_bytes());
            let mut all = String::new();
            said(&serde_json::from_slice(&after).unwrap(), &mut all);
            if leaks(&all, &secret) || count(&after) == 0 {
                missed.push(document);
            }
            assert_eq!(stored(&after), after, "screened again");
        }
    }
    let found = planted - missed.len();
    println!(
        "redaction: {planted} documents with a secret of a telling place: {found} found, recall {:.4}",
        found as f64 / planted as f64
    );
    assert!(
        missed.is_empty(),
        "{} missed: {:#?}",
        missed.len(),
        &missed[..missed.len().min(12)]
    );
}

/// Programs that do not sort keys write a value before its name.
#[test]
fn a_value_may_stand_before_its_name() {
    let document = r#"{"env":[{"value":"hunter2hunter2","name":"DB_PASSWORD"},{"value":"hunter3hunter3","name":"COLOUR"}]}"#;
    let after = String::from_utf8(stored(document.as_bytes())).unwrap();
    assert!(
        !after.contains("hunter2") && after.contains("hunter3hunter3"),
        "{after}"
    );
}

/// Texts that look like a token, cookie or password but are not.
fn look_alikes(d: &mut Draw) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..50 {
        let uuid = drawn(d, "%h8 - %h4 -4 %h3 -a %h3 - %h12");
        all.extend([
            drawn(d, "%h40"),
            drawn(d, "%h64"),
            drawn(d, "%h32"),
            uuid.clone(),
            format!("sha256: %h64 {uuid}"),
            drawn(d, "sha512- %b86 =="),
            drawn(d, "sha1- %b27 ="),
            drawn(d, "data:image/png;base64,iVBORw0KGgo %b2000 =="),
            drawn(d, "\"integrity\": \"sha512- %b86 ==\","),
            drawn(d, "toolu_ %A24"),
            drawn(d, "msg_ %A24"),
            drawn(d, "req_ %A24"),
            drawn(d, "call_ %A24"),
            drawn(d, "chatcmpl- %A29"),
            drawn(d, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI %b43 me@host"),
            drawn(d, "index %h7 .. %h7 100644"),
            drawn(d, "00- %h32 - %h16 -01"),
            drawn(d, "0x %h40"),
            drawn(d, "arn:aws:iam::%d12:role/deploy"),
            drawn(d, "/assets/index- %A8 .js?v= %h20"),
            drawn(d, "W/\" %h32 \""),
            drawn(d, "layer sha256: %h64 12.3MB"),
            drawn(d, "docker.io/library/app@sha256: %h64"),
            drawn(d, "chunk- %U8 .js main. %h20 .css"),
        ]);
    }
    all.extend(PLAIN.iter().map(|text| (*text).to_owned()));
    all
}

const PLAIN: &[&str] = &[
    "Cookie: see the section below",
    "Cookie: theme=dark; lang=en-US",
    "cookies are enabled = true",
    "Set-Cookie: <name>=<value>; Path=/",
    "document.cookie = 'a=b'",
    "e=document.cookie.match(t);return Te.isArray(e)?e:null==e||!1===e?[]:[e]}}",
    "Cookie: consent=accepted; theme=dark; locale=en-GB; tz=Europe/Vienna",
    "Set-Cookie: lang=de; Max-Age=31536000; SameSite=Lax; Secure",
    "cookie_consent_given_at = 2024-12-24",
    "cookie: _ga=GA1.2.1234567890.1234567890",
    "curl -u $USER:$PASSWORD https://example.com",
    "curl -u <user>:<password> https://example.com",
    "curl -u user:password https://example.com",
    "curl -u \"${USER}:${TOKEN}\" https://example.com",
    "curl -u user https://example.com",
    "curl --user-agent app:1.2.3 https://example.com",
    "mysql -u root -p",
    "{\"command\":\"mysql -u root -p\",\"description\":\"asks for it\"}",
    "the option `curl -u user:…` takes both",
    "curl -u takes a user and a password: see its manual",
    "docker run -d --name mongo -p 27017:27017 mongo:7",
    "docker run --name mongo -p 127.0.0.1:27017:27017 mongo",
    "mongodump with the -p option asks for it",
    "mkdir -p mongo/data && ls",
    "ssh -p 22 root@example.com",
    "ssh -p 2222 deploy@example.com uptime",
    "scp -P 2222 a b:",
    "the default password for the store",
    "# the default password callback of the library",
    "mysql -u root -p app",
    "mysql -u root -p$MYSQL_PASSWORD",
    "docker run --name mysql -p3306:3306 -d mysql:8",
    "docker run -p 3306:3306 mysql",
    "mysql -P3306 -h db",
    "mkdir -p mysql/data",
    "sshpass -f /run/secrets/ssh ssh -p 2222 host",
    "sshpass -e ssh -p 2222 root@example.com",
    "sshpass -p \"$PASS\" ssh host",
    "docker login registry.example.com",
    "docker login -u me --password-stdin",
    "a user login -p flag",
    "redis-cli -h cache ping",
    "machine learning login page password reset",
    "enter your login password now",
    "client-certificate-data: see kubeconfig",
    "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db-credentials\n      key: password-of-db1",
    "- name: LOG_LEVEL\n  value: debug-verbose-2",
    "{\"name\":\"X_TOKEN\",\"value\":\"\"}",
    "{\"name\":\"access_token\",\"in\":\"query\",\"required\":true}",
    "| Option | Default |\n|---|---|\n| `API_KEY` | none |",
    "| password | the password of the user |",
    "| Token | Meaning |\n|---|---|\n| `IDENT` | a name, such as `foo_bar` |\n| `NUMBER` | 12 or 0x1f |",
    "| secret | who keeps it, and since when: 2024-12-24 |",
    "| test | result |\n|---|---|\n| password_reset_works | passed in 1.24s |",
    "| user | password |\n|---|---|\n| me | ******** |",
    "list.iter().map(|token| token.kind()).filter(|secret| secret.is_some())",
    "let a = b | token | c;",
    "the colour \u{1b}[31mred\u{1b}[0m and \u{1b}[1mbold\u{1b}[0m words",
    "emoji \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} family",
    "zero\u{200b}width\u{200b}joined\u{200b}words",
    "\\u0041 \\u00e9 and \\x1b[0m in the manual",
    "https://discord.com/api/webhooks/ is the address",
    "https://hooks.zapier.com/hooks/catch/",
    "sk_test_helper_for_the_cases",
    "live_reload_of_the_development_server",
    "key-value-store-with-an-interface",
    "re_export_of_the_inner_module_2024",
    "pk_column_of_the_table_users_2024",
    "fc-cache -fv && fc-list",
    "md-button-large-outlined",
    "pat.is_match_at_the_beginning.of_the_haystack",
    "API-REFERENCE-OF-THE-SERVICE",
    "hf_transformers_pretrained_model_name",
    "npm_config_user_agent=npm/10.2.3 node/v20.10.0 linux x64",
    "s.getElementsByClassNameAndId",
    "SKIP_THE_TESTS_OF_THE_SERVER_2024",
    "dapi_interface_of_the_driver",
    "secret_santa_of_the_department_2024",
    "access-production-database-of-the-team",
    "figd_design_tokens_of_the_brand",
    "refs/heads/feature/EAAC-1234-rewrite-the-parser",
    "vcp_codec_pixel_format_yuv420p",
    "glc_renderer_of_the_scene_graph_v2",
    "endr+of+the+transmission",
    "path/to/AKIAlogy/of/the/ancients.txt",
];

#[test]
fn look_alikes_stay() {
    let mut draw = Draw(13);
    let all = look_alikes(&mut draw);
    let mut taken = Vec::new();
    for text in &all {
        for document in [
            json!({"text": text}),
            json!({"out": json!({"o": text}).to_string()}),
        ] {
            let before = document.to_string();
            let after = stored(before.as_bytes());
            if after != before.as_bytes() {
                taken.push(String::from_utf8(after).unwrap());
            }
        }
    }
    let judged = all.len() * 2;
    println!(
        "redaction: {judged} look-alikes: {} taken, precision among as many secrets {:.4}",
        taken.len(),
        judged as f64 / (judged + taken.len()) as f64
    );
    assert!(
        taken.is_empty(),
        "{} taken: {:#?}",
        taken.len(),
        &taken[..taken.len().min(12)]
    );
}
