//! Keystone v3: tokens.

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::answer::{Answer, Question, Refusal};
use super::catalog::catalog;
use super::handle::Account;
use super::state::State;
use crate::world::json::text;

/// How long a token is good.
const TOKEN_LIFE: TimeDelta = TimeDelta::hours(1);

/// Whether a request carries a token that is good.
pub(super) fn lets_in(state: &State, headers: &HeaderMap, now: DateTime<Utc>) -> bool {
    token_in(headers, "x-auth-token").and_then(|token| state.tokens.get(token)).is_some_and(|end| now < *end)
}

fn token_in<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn answer(state: &mut State, question: &Question<'_>, headers: &HeaderMap) -> Result<Answer, Refusal> {
    let ["v3", "auth", "tokens"] = question.path else { return Err(not_found(question)) };
    if *question.method == Method::POST {
        return issue(state, question);
    }
    if !lets_in(state, headers, question.now) {
        return Err(Refusal::unauthorized());
    }
    let subject = token_in(headers, "x-subject-token").unwrap_or_default().to_owned();
    let end = state.tokens.get(&subject).copied().filter(|end| question.now < *end);
    let gone = || Refusal::new(404, "", "Could not recognize Fernet token");
    let end = end.ok_or_else(gone)?;
    match *question.method {
        Method::GET | Method::HEAD => Ok(shown(state, question, "token", &subject, end, 200)),
        Method::DELETE => {
            state.tokens.remove(&subject);
            Ok(Answer::empty(204))
        }
        _ => Err(Refusal::no_such_method()),
    }
}

fn not_found(question: &Question<'_>) -> Refusal {
    let server = "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.";
    match question.path {
        ["v3", ..] => Refusal::new(404, "", server),
        _ => Refusal::no_such_path(),
    }
}

fn issue(state: &mut State, question: &Question<'_>) -> Result<Answer, Refusal> {
    let identity = &question.body["auth"]["identity"];
    let method = text(identity, "/methods/0");
    let known = match method {
        "password" => knows_password(&state.account, &question.body["auth"]),
        "application_credential" => knows_secret(&state.account, &identity["application_credential"]),
        _ => return Err(Refusal::new(400, "", format!("Invalid input for field 'identity/methods/0': {method:?}"))),
    };
    if !known {
        return Err(Refusal::unauthorized());
    }
    let token = format!("gAAAAA{}", state.id().replace('-', ""));
    let end = question.now + TOKEN_LIFE;
    state.tokens.insert(token.clone(), end);
    let mut answer = shown(state, question, method, &token, end, 201);
    answer.headers.push(("x-subject-token", token));
    Ok(answer)
}

/// The user's password, for the project that there is.
fn knows_password(account: &Account, auth: &Value) -> bool {
    let user = &auth["identity"]["password"]["user"];
    let project = &auth["scope"]["project"];
    let fits_project = names(project, &account.project_id, account.project, account.domain);
    names(user, &account.user_id, account.username, account.domain) && text(user, "/password") == account.password && fits_project
}

/// The application credential, by its id or by its name and user.
fn knows_secret(account: &Account, given: &Value) -> bool {
    let by_id = text(given, "/id") == account.application_credential_id;
    let by_name = text(given, "/name") == account.application_credential_name
        && names(&given["user"], &account.user_id, account.username, account.domain);
    (by_id || by_name) && text(given, "/secret") == account.application_credential_secret
}

/// Whether a user or a project is named, by id or by name and domain.
fn names(given: &Value, id: &str, name: &str, domain: &str) -> bool {
    let in_domain = text(given, "/domain/name") == domain || text(given, "/domain/id") == DOMAIN_ID;
    text(given, "/id") == id || (text(given, "/name") == name && in_domain)
}

/// The id of the only domain.
const DOMAIN_ID: &str = "default";

fn shown(state: &State, question: &Question<'_>, method: &str, token: &str, end: DateTime<Utc>, code: u16) -> Answer {
    let account = &state.account;
    let domain = json!({ "id": DOMAIN_ID, "name": account.domain });
    let micros = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let mut body = json!({
        "methods": [method], "is_domain": false,
        "user": { "id": account.user_id, "name": account.username, "domain": domain, "password_expires_at": null },
        "project": { "id": account.project_id, "name": account.project, "domain": domain },
        "roles": [{ "id": "9fe2ff9ee4384b1894a90878d3e92bab", "name": "member" }],
        "audit_ids": [&blake3::hash(token.as_bytes()).to_hex()[..22]],
        "issued_at": micros(end - TOKEN_LIFE), "expires_at": micros(end),
        "catalog": catalog(account, question.base),
    });
    if method == "application_credential" {
        body["application_credential"] =
            json!({ "id": account.application_credential_id, "name": account.application_credential_name, "restricted": true });
    }
    Answer::new(code, json!({ "token": body }))
}
