//! Redaction against the tokens of today's providers where no name gives them away, against the places that secrets
//! stand in besides, and against what only looks alike. What must be found, and what must stay, is counted.
//!
//! The tokens are drawn at run time, so that none stands in this repository.

use serde_json::{Value, json};
use session_model::redact::count;

use crate::redaction::{Draw, Planted, base64_of, leaks, said, stored};

/// The tokens: a name for the report, and the pieces: what stands there as it is, or `%`, an alphabet and a number.
///
/// A letters and digits, a lower case and digits, U upper case and digits, h hexadecimal digits, d digits, l letters,
/// w letters, digits, `-` and `_`, b base64.
const TOKENS: &[(&str, &str)] = &[
    ("1Password account", "A3- %U6 - %U6 - %U5 - %U5 - %U5 - %U5"),
    ("1Password service account", "ops_ eyJ %b340"),
    ("Adobe client secret", "p8e- %A32"),
    ("age", "AGE-SECRET-KEY- 1 %U58"),
    ("Airtable", "pat %A14 . %h64"),
    ("Aiven", "AVNS_ %w19"),
    ("Alibaba", "LTAI %A20"),
    ("Anthropic", "sk-ant- api03- %w93 AA"),
    ("Anthropic admin", "sk-ant- admin01- %w93 AA"),
    ("Anthropic OAuth", "sk-ant- oat01- %w93 AA"),
    ("Apify", "apify_api_ %A36"),
    ("Artifactory", "AKCp %A69"),
    ("Artifactory reference", "cmVmd %A59"),
    ("Asana", "1/ %d16 : %h32"),
    ("Atlassian", "ATATT3 %w186"),
    ("Authress", "sc_ %a20 . %a4 .acc_ %a16 . %b44"),
    ("AWS", "AKIA %U16"),
    ("AWS temporary", "ASIA %U16"),
    ("AWS bearer", "ABIA %U16"),
    ("AWS context", "ACCA %U16"),
    ("AWS Bedrock", "ABSK %b132"),
    ("Axiom", "xaat- %h8 - %h4 - %h4 - %h4 - %h12"),
    ("Azure client", "%A3 8Q~ %w34"),
    ("Azure storage", "%b76 +ASt %A6 =="),
    ("Azure Cosmos", "%b76 ACDb %A6 =="),
    ("Azure Service Bus", "%b33 +ASb %A6 ="),
    ("Azure Event Hubs", "%b33 +AEh %A6 ="),
    ("Azure registry", "%b42 +ACR %A6"),
    ("Azure DevOps", "%A52 JQQJ99 %A26"),
    ("Azure Functions", "%w44 AzFu %A6 =="),
    ("Beamer", "b_ %w44"),
    ("Bitbucket app password", "ATBB %A32"),
    ("Brave", "BSA %w27"),
    ("Brevo", "xkeysib- %h64 - %A16"),
    ("Brevo SMTP", "xsmtpsib- %h64 - %A16"),
    ("Browserbase", "bb_live_ %w32"),
    ("Buildkite user", "bkua_ %h40"),
    ("Cerebras", "csk- %a48"),
    ("CircleCI", "CCIPAT_ %A22 _ %h40"),
    ("ClickHouse", "4b1d %A38"),
    ("ClickUp", "pk_ %d8 _ %U32"),
    ("Clojars", "CLOJARS_ %a60"),
    ("Cloudflare origin", "v1.0- %h24 - %h146"),
    ("CockroachDB", "CCDB1_ %A22 _ %A40"),
    ("Contentful", "CFPAT- %w43"),
    ("crates.io", "cio %A32"),
    ("Cursor", "key_ %h64"),
    ("Databricks", "dapi %h32"),
    ("dbt", "dbtc_ %w38"),
    ("Defined Networking", "dnkey- %w26 - %w52"),
    ("DigitalOcean", "dop_v1_ %h64"),
    ("DigitalOcean OAuth", "doo_v1_ %h64"),
    ("DigitalOcean refresh", "dor_v1_ %h64"),
    ("Discord bot", "MT %A24 . %w6 . %w38"),
    ("Docker personal", "dckr_pat_ %w27"),
    ("Docker organization", "dckr_oat_ %w32"),
    ("Doppler personal", "dp.pt. %A43"),
    ("Doppler CI", "dp.ct. %A43"),
    ("Dropbox short", "sl. %w138"),
    ("Duffel", "duffel_live_ %w43"),
    ("Dynatrace", "dt0c01. %U24 . %U64"),
    ("E2B", "e2b_ %h40"),
    ("EasyPost", "EZAK %A54"),
    ("EasyPost test", "EZTK %A54"),
    ("Elastic", "essu_ %A80"),
    ("ElevenLabs", "sk_ %h48"),
    ("Endor Labs", "endr+ %A16"),
    ("Facebook page", "EAAC %A120"),
    ("Facebook app", "%d16 | %w27"),
    ("Figma", "figd_ %w40"),
    ("Firebase messaging", "AAAA %A7 :APA91b %w134"),
    ("Firecrawl", "fc- %h32"),
    ("Fireworks", "fw_ %A24"),
    ("Flutterwave", "FLWSECK_TEST- %h32"),
    ("Fly.io", "fm2_ %b180"),
    ("Frame.io", "fio-u- %w64"),
    ("GitHub personal", "ghp_ %A36"),
    ("GitHub OAuth", "gho_ %A36"),
    ("GitHub user", "ghu_ %A36"),
    ("GitHub server", "ghs_ %A36"),
    ("GitHub refresh", "ghr_ %A36"),
    ("GitHub fine-grained", "github_pat_ %A22 _ %A59"),
    ("GitLab personal", "glpat- %w20"),
    ("GitLab routable", "glpat- %w27 . %a2 %a7"),
    ("GitLab deploy", "gldt- %w20"),
    ("GitLab feed", "glft- %w20"),
    ("GitLab SCIM", "glsoat- %w20"),
    ("GitLab feature flags", "glffct- %w20"),
    ("GitLab mail", "glimt- %w25"),
    ("GitLab agent", "glagent- %w50"),
    ("GitLab OAuth", "gloas- %h64"),
    ("GitLab trigger", "glptt- %h40"),
    ("GitLab runner", "glrt- %w20"),
    ("GitLab runner registration", "GR1348941 %w20"),
    ("GitLab job", "glcbt- %A2 _ %w20"),
    ("Google API", "AIza %w35"),
    ("Google OAuth", "ya29. %w140"),
    ("Google refresh", "1//0 %w100"),
    ("Google client", "GOCSPX- %w28"),
    ("Grafana service account", "glsa_ %A32 _ %h8"),
    ("Grafana cloud", "glc_ eyJ %b130"),
    ("Groq", "gsk_ %A52"),
    ("Harness", "pat. %w22 . %A24 . %A20"),
    ("Heroku", "HRKU-AA %w58"),
    ("Honeycomb", "hcaik_ %a58"),
    ("HubSpot", "pat-na1- %h8 - %h4 - %h4 - %h4 - %h12"),
    ("Hugging Face", "hf_ %l34"),
    ("Hugging Face organization", "api_org_ %l34"),
    ("Infracost", "ico- %A32"),
    ("Intercom", "dG9r %A56"),
    ("Intra42", "s-s4t2ud- %h64"),
    ("Jina", "jina_ %A60"),
    ("JSON web token", "eyJ %w33 .eyJ %w60 . %w43"),
    ("Klaviyo", "pk_ %h34"),
    ("Kong", "kpat_ %A49"),
    ("Langfuse", "sk-lf- %h8 - %h4 - %h4 - %h4 - %h12"),
    ("LangSmith", "lsv2_pt_ %h32 _ %h10"),
    ("LaunchDarkly", "sdk- %h8 - %h4 -4 %h3 - %h4 - %h12"),
    ("Linear", "lin_api_ %A40"),
    ("Linear OAuth", "lin_oauth_ %h64"),
    ("Lob", "live_ %h35"),
    ("Mailchimp", "%h32 -us12"),
    ("Mailgun", "key- %h32"),
    ("Mailgun signing", "%h32 - %h8 - %h8"),
    ("Mandrill", "md- %w22"),
    ("Mapbox secret", "sk.eyJ %A90 . %w22"),
    ("Matrix", "syt_ %A20 _ %A20 _ %A6"),
    ("MaxMind", "%A6 _ %A29 _mmk"),
    ("MongoDB Atlas", "mdb_sa_sk_ %w40"),
    ("n8n", "n8n_api_ %h40"),
    ("Neon", "napi_ %a60"),
    ("Netlify", "nfp_ %A36"),
    ("New Relic user", "NRAK- %U27"),
    ("New Relic insert", "NRII- %A32"),
    ("New Relic browser", "NRJS- %h19"),
    ("New Relic licence", "%h36 NRAL"),
    ("Notion", "ntn_ %d11 %A35"),
    ("Notion internal", "secret_ %A43"),
    ("npm", "npm_ %A36"),
    ("NuGet", "oy2 %a43"),
    ("NVIDIA", "nvapi- %w64"),
    ("Octopus", "API- %U26"),
    ("Okta", "00 %w40"),
    ("Ollama", "%h32 . %A24"),
    ("OpenAI", "sk- %A20 T3BlbkFJ %A20"),
    ("OpenAI project", "sk-proj- %w74 T3BlbkFJ %w74"),
    ("OpenAI service account", "sk-svcacct- %w58 T3BlbkFJ %w58"),
    ("OpenAI admin", "sk-admin- %w58 T3BlbkFJ %w58"),
    ("OpenRouter", "sk-or-v1- %h64"),
    ("OpenShift", "sha256~ %w43"),
    ("PayPal Braintree", "access_token$production$ %a16 $ %h32"),
    ("Perplexity", "pplx- %A48"),
    ("Pinecone", "pcsk_ %A6 _ %A63"),
    ("Plaid", "access-production- %h8 - %h4 - %h4 - %h4 - %h12"),
    ("PlanetScale password", "pscale_pw_ %w43"),
    ("PlanetScale token", "pscale_tkn_ %w43"),
    ("PlanetScale OAuth", "pscale_oauth_ %w43"),
    ("PostHog personal", "phx_ %A47"),
    ("PostHog project", "phc_ %A43"),
    ("Postman", "PMAK- %h24 - %h34"),
    ("Prefect", "pnu_ %A36"),
    ("Pulumi", "pul- %h40"),
    ("PyPI", "pypi- AgEIcHlwaS5vcmc %w140"),
    ("RapidAPI", "%a10 msh %h15 p1 %h6 jsn %h12"),
    ("Razorpay", "rzp_live_ %A14"),
    ("Readme", "rdme_ %a70"),
    ("Render", "rnd_ %A28"),
    ("Replicate", "r8_ %A37"),
    ("Resend", "re_ %A8 _ %A24"),
    ("Riot", "RGAPI- %h8 - %h4 - %h4 - %h4 - %h12"),
    ("RubyGems", "rubygems_ %h48"),
    ("RunPod", "rpa_ %A44"),
    ("Scaleway", "SCW %U17"),
    ("Scalingo", "tk-us- %w48"),
    ("SendGrid", "SG. %w22 . %w43"),
    ("Sentry organization", "sntrys_ eyJpYXQiO %b120 _ %b43"),
    ("Sentry user", "sntryu_ %h64"),
    ("Session storage", "ssk_ %h12 _ %h64"),
    ("SettleMint", "sm_aat_ %A16"),
    ("Shippo", "shippo_live_ %h40"),
    ("Shopify", "shpat_ %h32"),
    ("Shopify custom", "shpca_ %h32"),
    ("Shopify private", "shppa_ %h32"),
    ("Shopify shared", "shpss_ %h32"),
    ("Slack app", "xapp-1- A %U10 - %d13 - %h64"),
    ("Slack bot", "xoxb- %d12 - %d13 - %A24"),
    ("Slack user", "xoxp- %d12 - %d12 - %d12 - %h32"),
    ("Slack refresh", "xoxe-1- %A146"),
    ("Snyk", "snyk_uat. %A8 . %w120"),
    ("SonarQube user", "squ_ %h40"),
    ("SonarQube project", "sqp_ %h40"),
    ("Sourcegraph", "sgp_ %h16 _ %h40"),
    ("Square", "sq0atp- %w22"),
    ("Square access", "EAAA %w60"),
    ("Statsig", "secret- %A44"),
    ("Stripe", "sk_live_ %A24"),
    ("Stripe restricted", "rk_live_ %A99"),
    ("Stripe webhook", "whsec_ %b32"),
    ("Supabase", "sbp_ %h40"),
    ("Supabase secret", "sb_secret_ %w31"),
    ("Tailscale", "tskey-auth- %A17 - %A32"),
    ("Tavily", "tvly-dev- %A32"),
    ("Telegram", "%d10 :AA %w33"),
    ("Tencent", "AKID %A32"),
    ("Terraform", "%A14 .atlasv1. %w67"),
    ("Together", "tgp_v1_ %w43"),
    ("Trello", "ATTA %h72"),
    ("Twilio", "SK %h32"),
    ("Typeform", "tfp_ %w44 _ %w14"),
    ("Vault service", "hvs. %w90"),
    ("Vault batch", "hvb. %w140"),
    ("Vault old", "s. %A24"),
    ("Vercel", "vcp_ %w56"),
    ("Voyage", "pa- %w43"),
    ("Weights & Biases", "wandb_v1_ %A77"),
    ("xAI", "xai- %A80"),
    ("Yandex", "AQVN %w36"),
];

/// How many of the shapes may be missed for good: none.
const MISSED: usize = 0;
/// How many of the look-alikes may be taken for secrets: none.
const TAKEN: usize = 0;

fn drawn(d: &mut Draw, spec: &str) -> String {
    let piece = |d: &mut Draw, piece: &str| {
        let Some(class) = piece.strip_prefix('%') else { return piece.to_owned() };
        let length = class[1..].parse().unwrap();
        d.of(alphabet(&class[..1]), length)
    };
    spec.split(' ').map(|text| piece(d, text)).collect()
}

fn alphabet(class: &str) -> &'static str {
    match class {
        "A" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "a" => "abcdefghijklmnopqrstuvwxyz0123456789",
        "U" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "h" => "0123456789abcdef",
        "d" => "0123456789",
        "l" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "w" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        "b" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        _ => panic!("no such alphabet: {class}"),
    }
}

/// Texts in which a token stands where no name gives it away.
fn bearing(token: &str) -> Vec<String> {
    let middle = token.len() / 2;
    let (head, tail) = token.split_at(middle);
    vec![
        token.to_owned(),
        format!("use {token} from now on"),
        format!("{{\"x\":\"{token}\"}}"),
        format!("first line\n{token}\nlast line"),
        // JSON in a JSON string, and once more.
        format!("{{\\\"x\\\":\\\"line\\n{token}\\n\\\"}}"),
        format!("line\\\\n{token}\\\\nline"),
        format!("line\\t{token}\\r\\n"),
        // Behind a terminal's colours, as bytes and as they are written, and with colours in the middle.
        format!("\u{1b}[1;31m{token}\u{1b}[0m"),
        format!("\u{1b}[38;5;208m\u{1b}[K{token}\u{1b}[m"),
        format!("\\u001b[31m{token}\\u001b[0m"),
        format!("\\x1b[0;32m{token}\\x1b[0m and \\033[1m"),
        format!("{head}\u{1b}[01;31m\u{1b}[K{tail}"),
        // With characters of no width.
        format!("{head}\u{200b}{tail}"),
        format!("{}\u{feff}{}", &token[..1], &token[1..]),
        format!("{head}\u{ad}{tail}"),
        // Of a table.
        format!("| key | {token} |"),
        // In an address.
        format!("https://api.example.com/?q=1%3D{token}"),
    ]
}

#[test]
fn tokens_of_todays_providers_are_found_where_no_name_gives_them_away() {
    assert!(TOKENS.len() >= 148, "{}", TOKENS.len());
    let mut draw = Draw(11);
    let (mut planted, mut missed) = (0, Vec::new());
    for (name, spec) in TOKENS {
        for _ in 0..4 {
            let token = drawn(&mut draw, spec);
            for (number, text) in bearing(&token).into_iter().enumerate() {
                // As it is and as a JSON string within a document.
                for document in [json!({"text": text}), json!([[{"out": json!({"o": text}).to_string()}]])] {
                    planted += 1;
                    let after = stored(document.to_string().as_bytes());
                    let mut all = String::new();
                    said(&serde_json::from_slice(&after).unwrap(), &mut all);
                    let shown: String = all.chars().filter(char::is_ascii).collect();
                    if leaks(&shown, &token) || count(&after) == 0 {
                        missed.push(format!("{name} in text {number}: {document}"));
                    }
                }
            }
        }
    }
    let found = planted - missed.len();
    println!(
        "redaction: {} shapes of tokens in {planted} documents: {found} found, recall {:.4}",
        TOKENS.len(),
        found as f64 / planted as f64
    );
    assert!(missed.len() <= MISSED, "{} missed: {:#?}", missed.len(), &missed[..missed.len().min(12)]);
}

#[test]
fn a_hidden_token_has_the_tag_of_the_plain_one() {
    let token = drawn(&mut Draw(5), "ghp_ %A36");
    let tag = |text: &str| {
        let after: Value = serde_json::from_slice(&stored(json!([text]).to_string().as_bytes())).unwrap();
        after[0].as_str().unwrap().to_owned()
    };
    let plain = tag(&token);
    assert!(plain.starts_with("[redacted:github_token:") && plain.ends_with(']'), "{plain}");
    assert_eq!(tag(&format!("{}\u{200b}{}", &token[..9], &token[9..])), plain);
    assert_eq!(tag(&format!("{}\u{1b}[31m{}", &token[..9], &token[9..])), plain);
    assert_eq!(tag(&token.replace('h', "\\u0068")), plain);
}

fn within(text: [&str; 2], secret: &str) -> Planted {
    Planted { kind: "", text: text.join(secret), secret: secret.to_owned() }
}

/// Texts whose secret only the place shows where it stands.
fn places(d: &mut Draw) -> Vec<Planted> {
    let secret = |d: &mut Draw| {
        format!("{}{}{}", d.of(alphabet("A"), 6), d.of("0123456789", 3), d.of(alphabet("A"), 6))
    };
    let pem = d.pem("RSA PRIVATE KEY", 12, "\n");
    let encoded = base64_of(format!("{pem}\n\n").as_bytes());
    vec![
        within(["Cookie: theme=dark; sessionid=", "; lang=en"], &secret(d)),
        within(
            ["GET / HTTP/1.1\r\nHost: x\r\nCookie: sid=", "\r\nAccept: */*\r\n"],
            &d.of(alphabet("h"), 40),
        ),
        within(["Set-Cookie: sid=", "; Path=/; HttpOnly; Secure"], &secret(d)),
        within(["set-cookie: __Host-id=\"", "\"; Max-Age=3600"], &secret(d)),
        within(["curl -H 'Cookie: a=b; token=", "' https://example.com"], &secret(d)),
        within(["curl https://example.com --cookie \"sid=", "\""], &secret(d)),
        within(["curl -s -b sid=", " https://example.com"], &secret(d)),
        within(["document.cookie = \"id=", "; path=/\""], &secret(d)),
        within(["curl -u admin:", " https://example.com"], &secret(d)),
        within(["curl -u 'admin:", "' https://example.com"], &secret(d)),
        within(["curl -su \"admin:", "\" https://example.com"], &secret(d)),
        within(["curl \"https://example.com/?a=1&b=2\" --user admin:", ""], &secret(d)),
        within(["curl -X POST \\\n  --proxy-user=me:", " \\\n  https://example.com"], &secret(d)),
        within(["/usr/bin/curl -uadmin:", " https://example.com"], &secret(d)),
        within(["curl -u ", ": https://example.com"], &d.of(alphabet("A"), 32)),
        within(["mysql -h db -u root -p", " app"], &secret(d)),
        within(["mysqldump -uroot -p'", "' app > dump.sql"], &secret(d)),
        within(["docker exec db mariadb -uroot -p", " -e 'select 1'"], &secret(d)),
        within(["sshpass -p ", " ssh root@example.com"], &secret(d)),
        within(["sshpass -p'", "' scp a b:"], &secret(d)),
        within(["redis-cli -h cache -a ", " ping"], &secret(d)),
        within(["mongosh -u app -p ", " db"], &secret(d)),
        within(["docker login -u me -p ", " registry.example.com"], &secret(d)),
        within(["machine api.example.com login me password ", ""], &secret(d)),
        within(["machine api.example.com\n  login me\n  password ", "\nmachine x"], &secret(d)),
        within(["default login anonymous password ", ""], &secret(d)),
        within(["users:\n- name: me\n  user:\n    client-key-data: ", "\n    x: y"], &encoded),
        within(["    token: ", "\n"], &d.of(alphabet("A"), 40)),
        within(["data:\n  tls.key: ", "\n"], &encoded),
        within(["env:\n- name: DB_PASSWORD\n  value: ", "\n- name: LEVEL\n  value: debug"], &secret(d)),
        within(["        - name: API_TOKEN\n          value: \"", "\"\n"], &d.of(alphabet("A"), 24)),
        within(["env:\\n- name: DB_PASSWORD\\n  value: ", "\\n- name: X"], &secret(d)),
        within(["{\"name\":\"X_TOKEN\",\"value\":\"", "\"}"], &d.of(alphabet("A"), 24)),
        within(["{'name': 'DB_PASSWORD', 'value': '", "'}"], &secret(d)),
        within(["<add key=\"SmtpPassword\" value=\"", "\" />"], &secret(d)),
        within(["| Name | Value |\n|---|---|\n| DB_PASSWORD | ", " |"], &secret(d)),
        within(["| `API_KEY` | `", "` | the key |"], &secret(d)),
        within(["| user | password |\n|------|:--------:|\n| me   | ", " |\n"], &secret(d)),
        within(
            ["+------+-------------+\n| user | password    |\n+------+-------------+\n| me   | ", " |\n+--+"],
            &secret(d),
        ),
        within([" user | password\n------+---------\n me   | ", "\n(1 row)"], &secret(d)),
        within(["\u{2502} DB_PASSWORD \u{2502} ", " \u{2502}"], &secret(d)),
        within(["\u{1b}[36mDB_PASSWORD\u{1b}[0m=", ""], &secret(d)),
        within(["https://discord.com/api/webhooks/123456789012345678/", ""], &d.of(alphabet("w"), 68)),
        within(
            ["https://example.blob.core.windows.net/c?sv=2022&sig=", "&se=2030"],
            &format!("{}%3D", d.of(alphabet("A"), 43)),
        ),
    ]
}

/// Documents whose secret only the strings around show.
fn documents(d: &mut Draw) -> Vec<(Value, String)> {
    let secret = |d: &mut Draw| {
        format!("{}{}{}", d.of(alphabet("A"), 6), d.of("0123456789", 3), d.of(alphabet("A"), 6))
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
    with(&|s| serde_json::from_str(&format!("{{\"value\":\"{s}\",\"name\":\"DB_PASSWORD\"}}")).unwrap());
    all
}

#[test]
fn secrets_are_found_by_the_place_where_they_stand() {
    let mut draw = Draw(12);
    let (mut planted, mut missed) = (0, Vec::new());
    for _ in 0..20 {
        let texts = places(&mut draw).into_iter().flat_map(|Planted { text, secret, .. }| {
            let nested = json!({"output": json!({"stdout": text}).to_string()});
            [(json!({"text": text}), secret.clone()), (nested, secret)]
        });
        let reversed = |(document, secret): (Value, String)| (document.to_string(), secret);
        let all = texts.map(reversed).collect::<Vec<_>>();
        let all = all.into_iter().chain(documents(&mut draw).into_iter().map(reversed));
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
    println!(
        "redaction: {planted} documents with a secret of a telling place: {} found",
        planted - missed.len()
    );
    assert!(missed.len() <= MISSED, "{} missed: {:#?}", missed.len(), &missed[..missed.len().min(12)]);
}

/// A value before its name comes so from programs that sort nothing.
#[test]
fn a_value_may_stand_before_its_name() {
    let document = r#"{"env":[{"value":"hunter2hunter2","name":"DB_PASSWORD"},{"value":"hunter3hunter3","name":"COLOUR"}]}"#;
    let after = String::from_utf8(stored(document.as_bytes())).unwrap();
    assert!(!after.contains("hunter2") && after.contains("hunter3hunter3"), "{after}");
}

/// What looks like a token, a cookie or a password and is none.
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
    "cookie: _ga=GA1.2.1234567890.1234567890",
    "curl -u $USER:$PASSWORD https://example.com",
    "curl -u <user>:<password> https://example.com",
    "curl -u user:password https://example.com",
    "curl -u \"${USER}:${TOKEN}\" https://example.com",
    "curl -u user https://example.com",
    "curl --user-agent app:1.2.3 https://example.com",
    "mysql -u root -p",
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
        for document in [json!({"text": text}), json!({"out": json!({"o": text}).to_string()})] {
            let before = document.to_string();
            let after = stored(before.as_bytes());
            if after != before.as_bytes() {
                taken.push(String::from_utf8(after).unwrap());
            }
        }
    }
    println!(
        "redaction: {} look-alikes: {} taken, precision against as many secrets {:.4}",
        all.len() * 2,
        taken.len(),
        (all.len() * 2) as f64 / (all.len() * 2 + taken.len()) as f64
    );
    assert!(taken.len() <= TAKEN, "{} taken: {:#?}", taken.len(), &taken[..taken.len().min(12)]);
}
