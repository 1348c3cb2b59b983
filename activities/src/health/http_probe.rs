use super::ask::{Access, Answer, ask, trimmed};
use super::probe::Finding;
use super::spec::HttpProbe;
use crate::cluster::Cluster;

/// Asks an address. That it does not answer is what an unwell application does.
pub(super) async fn look(cluster: &Cluster, probe: &HttpProbe) -> Finding {
    let who = format!("http {}", probe.url);
    match ask(cluster, &probe.url, Access { token_file: None, ca_file: probe.ca_file.as_deref() }).await {
        Ok(answer) => judge(who, probe, &answer),
        Err(cause) => Finding::bad(who, format!("does not answer: {cause}")),
    }
}

fn judge(who: String, probe: &HttpProbe, answer: &Answer) -> Finding {
    let (code, body) = (answer.status.as_u16(), String::from_utf8_lossy(&answer.body));
    if code != probe.expect_status {
        return Finding::bad(who, format!("answered {code}, not {}: {}", probe.expect_status, trimmed(&body)));
    }
    match &probe.contains {
        Some(text) if !body.contains(text) => Finding::bad(who, format!("answered {code} without {text:?}: {}", trimmed(&body))),
        Some(_) | None => Finding::well(who, format!("answered {code}")),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn status_and_text_are_both_asked_for() {
        let check = |code: u16, body: &str, expect: &str| {
            let url = "https://shop.example.com/".to_owned();
            let probe = HttpProbe { url, expect_status: 200, contains: Some("ready".to_owned()), ca_file: None };
            let answer = Answer { status: StatusCode::from_u16(code).unwrap(), body: body.as_bytes().to_vec() };
            assert_eq!(judge("http shop".to_owned(), &probe, &answer).to_string(), expect);
        };
        check(200, "all ready", "http shop: answered 200");
        check(200, "starting", "http shop: answered 200 without \"ready\": starting");
        check(302, "ready", "http shop: answered 302, not 200: ready");
        check(500, &"x".repeat(1000), &format!("http shop: answered 500, not 200: {}…", "x".repeat(300)));
    }
}
