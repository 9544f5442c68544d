//! The HTML pages in a real browser, narrow and wide, light and dark.
//!
//! Needs Chromium and its driver: `cargo test -p linger-probe --test browser`.
//! `LINGER_PROBE_SCREENSHOTS` names a folder for pictures of what was seen.

mod made;
mod sample;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use linger_probe::read::Kind;
use linger_probe::report::html;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

type Outcome<T> = Result<T, Box<dyn Error>>;

const WIDTHS: [u32; 4] = [360, 400, WHOLE_TABLES, 1600];
/// From this width on, the table of tries fits without scrolling.
const WHOLE_TABLES: u32 = 1200;
const SCHEMES: [&str; 2] = ["light", "dark"];

/// The driver's process, which ends with the test.
struct Driver {
    process: Child,
    port: u16,
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("`chromedriver` must be on the PATH (Debian: chromium and chromium-driver)");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let mut ports = lines.filter_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let port = ports.next().expect("the driver says its port");
        Self { process, port }
    }

    async fn browser(&self, profile: &Path) -> Outcome<Client> {
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("written as an object above") };
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        Ok(builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{}", self.port)).await?)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A command of this driver only: its path below the session's, and its body.
#[derive(Debug)]
struct Own(&'static str, Value);

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

async fn devtools(browser: &Client, command: &str, params: Value) -> Outcome<Value> {
    let body = json!({ "cmd": command, "params": params });
    Ok(browser.issue_cmd(Own("goog/cdp/execute", body)).await?)
}

async fn number(browser: &Client, expression: &str) -> Outcome<i64> {
    let value = browser.execute(&format!("return {expression}"), vec![]).await?;
    value.as_i64().ok_or_else(|| format!("{expression} is {value}").into())
}

/// What is wrong with the page at this width and in these colours.
async fn problems(browser: &Client, page: &Url, width: u32, scheme: &str) -> Outcome<Vec<String>> {
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    devtools(browser, "Emulation.setEmulatedMedia", features).await?;
    resize(browser, width, 900).await?;
    browser.goto(page.as_str()).await?;
    let mut problems = Vec::new();
    if number(browser, "innerWidth").await? != i64::from(width) {
        problems.push("the window has another width".to_owned());
    }
    let dark = number(browser, "Number(matchMedia('(prefers-color-scheme: dark)').matches)").await?;
    if (dark == 1) != (scheme == "dark") {
        problems.push("the window has the other colours".to_owned());
    }
    // Scenarios that passed are opened, too: their details may be wider than what is shown at first.
    for state in ["as it comes", "all open"] {
        let wide = number(browser, "document.documentElement.scrollWidth - innerWidth").await?;
        if wide > 0 {
            problems.push(format!("{state}: {wide} px wider than the window"));
        }
        browser.execute("document.querySelectorAll('details').forEach(d => d.open = true)", vec![]).await?;
    }
    let scrolled = "[...document.querySelectorAll('table.tries')].filter(table => table.scrollWidth > \
                    table.parentElement.clientWidth).length";
    let scrolled = number(browser, scrolled).await?;
    if width >= WHOLE_TABLES && scrolled > 0 {
        problems.push(format!("{scrolled} tables of tries do not fit"));
    }
    if number(browser, "performance.getEntriesByType('resource').length").await? != 0 {
        problems.push("something was loaded".to_owned());
    }
    let messages = browser.issue_cmd(Own("se/log", json!({ "type": "browser" }))).await?;
    let messages = messages.as_array().ok_or("no log")?;
    problems.extend(messages.iter().map(|message| format!("console: {message}")));
    Ok(problems)
}

async fn resize(browser: &Client, width: u32, height: i64) -> Outcome<()> {
    let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    devtools(browser, "Emulation.setDeviceMetricsOverride", metrics).await?;
    Ok(())
}

/// The whole page, as it is loaded.
async fn screenshot(browser: &Client, page: &Url, width: u32, path: PathBuf) -> Outcome<()> {
    browser.goto(page.as_str()).await?;
    resize(browser, width, number(browser, "document.documentElement.scrollHeight").await?).await?;
    Ok(std::fs::write(path, browser.screenshot().await?)?)
}

async fn look(browser: &Client, page: &Url, name: &str) -> Outcome<Vec<String>> {
    let screenshots = std::env::var_os("LINGER_PROBE_SCREENSHOTS").map(PathBuf::from);
    let mut all = Vec::new();
    for width in WIDTHS {
        for scheme in SCHEMES {
            let found = problems(browser, page, width, scheme).await?;
            all.extend(found.into_iter().map(|problem| format!("{name}, {width} px, {scheme}: {problem}")));
            if let Some(folder) = &screenshots {
                std::fs::create_dir_all(folder)?;
                screenshot(browser, page, width, folder.join(format!("{name}-{width}-{scheme}.png"))).await?;
            }
        }
    }
    Ok(all)
}

/// Chooses each kind on the page of a trace by the keyboard, and looks at what is shown then.
async fn wrong_choices(browser: &Client, page: &Url) -> Outcome<Vec<String>> {
    browser.goto(page.as_str()).await?;
    // What is shown has a size. A connection is in the list of the worst, or an example.
    let shown = |kind: &str| {
        format!(
            "[...document.querySelectorAll('.connection{kind}')].filter(it => it.getClientRects().length > 0).length"
        )
    };
    let mut wrong = Vec::new();
    let all = number(browser, &shown("")).await?;
    browser.find(Locator::Css("#only-all")).await?.send_keys(" ").await?;
    for kind in Kind::ALL {
        let key = kind.key();
        // The arrow moves to the next button of the group, and chooses it.
        browser.active_element().await?.send_keys(&char::from(Key::Down).to_string()).await?;
        if number(browser, &format!("Number(document.querySelector('#only-{key}').checked)")).await? != 1 {
            wrong.push(format!("{key} is not chosen"));
        }
        let (of_kind, now) = (shown(&format!("[data-kinds={key}]")), number(browser, &shown("")).await?);
        if now == 0 || now == all || now != number(browser, &of_kind).await? {
            wrong.push(format!("{key}: {now} of {all} connections are shown"));
        }
        let note = format!("document.querySelector('[data-only={key}]').getClientRects().length");
        if number(browser, &note).await? != 1 {
            wrong.push(format!("{key}: nothing says that others are hidden"));
        }
        let dim =
            "[...document.querySelectorAll('.timeline rect')].filter(it => getComputedStyle(it).opacity < 1)";
        let bright = format!(
            "[...document.querySelectorAll('.timeline rect[data-series={key}]')].filter(it => \
                              getComputedStyle(it).opacity == 1)"
        );
        if number(browser, &format!("{dim}.length")).await? == 0
            || number(browser, &format!("{bright}.length")).await? == 0
        {
            wrong.push(format!("{key}: the timeline does not show it"));
        }
    }
    browser.find(Locator::Css(".only label[for=only-all]")).await?;
    browser.execute("document.querySelector('.only label').click()", vec![]).await?;
    if number(browser, &shown("")).await? != all {
        wrong.push("not all are shown again".to_owned());
    }
    Ok(wrong)
}

#[test]
fn the_pages_fit_every_window_and_the_console_stays_silent() {
    let folder = TempDir::new().expect("a folder");
    let page = |name: &str, page: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, page).expect("room for the page");
        Url::from_file_path(&file).expect("an absolute path")
    };
    let report = page("report.html", html::page(&sample::report()));
    let reading = page("reading.html", html::reading_page(&made::reading()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let driver = Driver::start();
    let found = runtime.block_on(async {
        let browser = driver.browser(&folder.path().join("profile")).await?;
        let found = async {
            let mut found = look(&browser, &report, "report").await?;
            found.extend(look(&browser, &reading, "reading").await?);
            found.extend(wrong_choices(&browser, &reading).await?);
            Ok::<_, Box<dyn Error>>(found)
        };
        let found = found.await;
        // The browser is closed before any assertion, because a driver that ends leaves its browser behind.
        browser.close().await?;
        found
    });
    let problems = found.expect("the browser could be driven");
    assert!(problems.is_empty(), "{problems:#?}");
}
