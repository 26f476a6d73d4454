//! Redaction of the tokens of today's providers where no name indicates them: recall is counted and
//! asserted. The texts that must stay are in `redaction_places`.
//!
//! The tokens are generated at run time, so that this repository contains none.

use serde_json::{Value, json};
use session_redact::count;

use crate::redaction::{Draw, leaks, said, stored};

/// The tokens: a name for the report, and the pieces: literal text, or `%`, an alphabet and a
/// number.
///
/// A letters and digits, a lower case and digits, U upper case and digits, h hexadecimal digits, d
/// digits, l letters, w letters, digits, `-` and `_`, b base64, B base32 as AWS uses it, Q bech32
/// in upper case.
pub(crate) const TOKENS: &[(&str, &str)] = &[
    ("1Password account", "A3- %U6 - %U6 - %U5 - %U5 - %U5 - %U5"),
    ("1Password service account", "ops_ eyJ %b340"),
    ("Adobe client secret", "p8e- %A32"),
    ("age", "AGE-SECRET-KEY- 1 %Q58"),
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
    ("AWS", "AKIA %B16"),
    ("AWS temporary", "ASIA %B16"),
    ("AWS bearer", "ABIA %B16"),
    ("AWS context", "ACCA %B16"),
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
    ("Dropbox short", "sl. %w135"),
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
    ("Flutterwave", "FLWSECK_TEST- %h32 -X"),
    ("Fly.io", "fm2_ %b180"),
    ("Fly.io macaroon", "fm1r_ %b120"),
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
    (
        "Sentry organization",
        "sntrys_ eyJpYXQiO %b60 LCJyZWdpb25fdXJs %b60 = _ %b43",
    ),
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

/// How many tokens of each shape are generated to count those that look like words.
const DRAWS: usize = 300;
/// The share of planted tokens that must be found; a short token may happen to look like words.
const RECALL: f64 = 0.998;

pub(crate) fn drawn(d: &mut Draw, spec: &str) -> String {
    let piece = |d: &mut Draw, piece: &str| {
        let Some(class) = piece.strip_prefix('%') else {
            return piece.to_owned();
        };
        let length = class[1..].parse().unwrap();
        d.of(alphabet(&class[..1]), length)
    };
    spec.split(' ').map(|text| piece(d, text)).collect()
}

pub(crate) fn alphabet(class: &str) -> &'static str {
    match class {
        "A" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "a" => "abcdefghijklmnopqrstuvwxyz0123456789",
        "U" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "B" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "Q" => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
        "h" => "0123456789abcdef",
        "d" => "0123456789",
        "l" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "w" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        "b" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        _ => panic!("no such alphabet: {class}"),
    }
}

/// Texts that contain a token without a name that indicates it.
fn bearing(token: &str) -> Vec<String> {
    let middle = token.len() / 2;
    let (head, tail) = token.split_at(middle);
    vec![
        token.to_owned(),
        format!("use {token} from now on"),
        format!("{{\"x\":\"{token}\"}}"),
        format!("first line\n{token}\nlast line"),
        // JSON in a JSON string, and nested once more.
        format!("{{\\\"x\\\":\\\"line\\n{token}\\n\\\"}}"),
        format!("line\\\\n{token}\\\\nline"),
        format!("line\\t{token}\\r\\n"),
        // After terminal colours, as bytes and as escapes, and with colours in the middle.
        format!("\u{1b}[1;31m{token}\u{1b}[0m"),
        format!("\u{1b}[38;5;208m\u{1b}[K{token}\u{1b}[m"),
        format!("\\u001b[31m{token}\\u001b[0m"),
        format!("\\x1b[0;32m{token}\\x1b[0m and \\033[1m"),
        format!("{head}\u{1b}[01;31m\u{1b}[K{tail}"),
        // With zero-width characters.
        format!("{head}\u{200b}{tail}"),
        format!("{}\u{feff}{}", &token[..1], &token[1..]),
        format!("{head}\u{ad}{tail}"),
        // In a table.
        format!("| key | {token} |"),
        // In a URL.
        format!("https://api.example.com/?q=1%3D{token}"),
    ]
}

#[test]
fn tokens_of_todays_providers_are_found_where_no_name_gives_them_away() {
    assert!(TOKENS.len() >= 148, "{}", TOKENS.len());
    let mut draw = Draw(11);
    let mut planted = 0;
    let mut missed = Vec::new();
    for (name, spec) in TOKENS {
        for _ in 0..4 {
            let token = drawn(&mut draw, spec);
            for (number, text) in bearing(&token).into_iter().enumerate() {
                // As it is, and as a JSON string within a document.
                for document in [
                    json!({"text": text}),
                    json!([[{"out": json!({"o": text}).to_string()}]]),
                ] {
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
    let recall = found as f64 / planted as f64;
    println!(
        "redaction: {} shapes of tokens in {planted} documents: {found} found, recall {recall:.4}",
        TOKENS.len()
    );
    assert!(
        recall >= RECALL,
        "{} missed: {:#?}",
        missed.len(),
        &missed[..missed.len().min(12)]
    );
}

#[test]
fn a_hidden_token_has_the_tag_of_the_plain_one() {
    let token = drawn(&mut Draw(5), "ghp_ %A36");
    let placeholder = |text: &str| {
        let after: Value =
            serde_json::from_slice(&stored(json!([text]).to_string().as_bytes())).unwrap();
        after[0].as_str().unwrap().to_owned()
    };
    let plain = placeholder(&token);
    assert!(
        plain.starts_with("[redacted:github_token:") && plain.ends_with(']'),
        "{plain}"
    );
    assert_eq!(
        placeholder(&format!("{}\u{200b}{}", &token[..9], &token[9..])),
        plain
    );
    assert_eq!(
        placeholder(&format!("{}\u{1b}[31m{}", &token[..9], &token[9..])),
        plain
    );
    assert_eq!(placeholder(&token.replace('h', "\\u0068")), plain);
}

/// Some short tokens that happen to look like words are missed; a large number is counted for each
/// shape.
#[test]
fn few_tokens_of_any_shape_look_like_words() {
    let mut draw = Draw(17);
    let mut worst = Vec::new();
    let mut all = 0;
    for (name, spec) in TOKENS {
        let missed = (0..DRAWS).filter(|_| {
            let token = drawn(&mut draw, spec);
            let after = stored(json!([format!("use {token} now")]).to_string().as_bytes());
            leaks(&String::from_utf8(after).unwrap(), &token)
        });
        let missed = missed.count();
        all += missed;
        worst.push((missed, *name));
    }
    worst.sort_unstable();
    let recall = 1.0 - all as f64 / (DRAWS * TOKENS.len()) as f64;
    let last = &worst[worst.len() - 12..];
    println!("redaction: {DRAWS} tokens of each shape: recall {recall:.5}, most missed {last:?}");
    assert!(
        recall >= 0.999 && worst.iter().all(|(missed, _)| missed * 25 <= DRAWS),
        "{recall} {last:?}"
    );
}

/// The alphabets of some shapes have `=`, at which a run ends. Searches must not take it for the end
/// of the token.
#[test]
fn a_token_with_an_equals_sign_within_is_found() {
    let mut draw = Draw(23);
    for (head, length) in [("b_", 44), ("duffel_live_", 43), ("tfp_", 59)] {
        // The run before the sign must be long enough to be noticed at all.
        for at in 20..length - 1 {
            let mut body = draw.of(alphabet("w"), length);
            body.replace_range(at..=at, "=");
            let token = format!("{head}{body}");
            let after = stored(json!([format!("use {token} now")]).to_string().as_bytes());
            let after = String::from_utf8(after).unwrap();
            assert!(!leaks(&after, &token), "{at}: {after}");
        }
    }
}
