//! Manages the tokens of operators.

use adapter_http::wire::{IssuedTokenView, TokenList, TokenView};
use anyhow::{Context as _, Result};
use domain::Timestamp;
use domain::access::{OperatorName, OperatorTokenId, Rights, TokenState};
use usecases::ManageTokens;
use usecases::access::manage_tokens::NewToken;

use super::audit_trail;
use super::installation::with_stores;
use crate::cli::{TokenAddArgs, TokenCommand};
use crate::composition;
use crate::config::Settings;
use crate::{output, view};

pub async fn run(settings: &Settings, json: bool, command: TokenCommand) -> Result<()> {
    if matches!(command, TokenCommand::Add(_)) {
        output::check_writable()?;
    }
    with_stores(settings, async |stores| {
        let tokens = composition::manage_tokens(stores);
        match command {
            TokenCommand::Add(args) => add(&tokens, json, args).await,
            TokenCommand::List => list(&tokens, json).await,
            TokenCommand::Revoke { token } => revoke(&tokens, json, &token).await,
        }
    })
    .await
}

async fn add(tokens: &ManageTokens, json: bool, args: TokenAddArgs) -> Result<()> {
    let expires_at = args.expires.as_deref().map(Timestamp::parse).transpose();
    let new = NewToken {
        name: OperatorName::of_token(&args.name)?,
        role: args.role,
        rights: Rights {
            reveal: args.reveal,
            audit: args.audit,
        },
        expires_at: expires_at.context("--expires")?,
    };
    let issued = tokens.add(new).await?;
    let id = issued.token.id;
    audit_trail::note(&id.to_string(), Some(issued.token.summary()));
    if json {
        output::json(&IssuedTokenView::new(&issued))?;
    } else {
        output::line(format!(
            "Added token {}. Its id is {id}.",
            issued.token.name
        ));
        output::line(format!("  {}   (shown only once)", issued.text.reveal()));
    }
    output::ensure_shown(|| {
        format!(
            "token {id} was added, but may not have been shown; run `receiptd token revoke {id}` \
             and add another one"
        )
    })
}

async fn list(tokens: &ManageTokens, json: bool) -> Result<()> {
    view::list(
        json,
        &TokenList::new(&tokens.list().await?),
        &[
            ("ID", "id"),
            ("NAME", "name"),
            ("ROLE", "role"),
            ("RIGHTS", "rights|none"),
            ("STATE", "state"),
            ("EXPIRES", "expires|never"),
            ("LAST USED", "last_used|never"),
        ],
        "no tokens; `receiptd token add NAME --role ROLE` adds one",
    )
}

async fn revoke(tokens: &ManageTokens, json: bool, token: &str) -> Result<()> {
    let id = find(tokens, token).await?;
    let revoked = tokens.revoke(id).await?;
    audit_trail::note(&id.to_string(), Some(revoked.summary()));
    if json {
        return output::json(&TokenView::new(&revoked, TokenState::Revoked));
    }
    output::line(format!("Token {} revoked.", revoked.name));
    Ok(())
}

/// Returns the token with an id, or the one with a name that is not revoked.
async fn find(tokens: &ManageTokens, token: &str) -> Result<OperatorTokenId> {
    if let Ok(id) = token.parse() {
        return Ok(id);
    }
    let all = tokens.list().await?;
    let mut usable = all
        .iter()
        .filter(|(_, state)| *state != TokenState::Revoked);
    let found = usable.find(|(each, _)| each.name.as_str() == token);
    let (found, _) = found.with_context(|| {
        format!("there is no token {token:?} to revoke; `receiptd token list` shows them")
    })?;
    Ok(found.id)
}
