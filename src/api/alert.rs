//! Alerts, over gRPC.

mod check;
mod view;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    alert::Phase,
    api::{
        admin::check::all_projects,
        aside::Aside,
        auth::Caller,
        convert,
        pages::{Page, not_given},
    },
    error::{Error, FieldProblem},
    model::{Project, Tick},
    notify::courier,
    proto::{
        AcknowledgeAlertRequest, AcknowledgeAlertResponse, DeleteAlertRuleRequest, DeleteAlertRuleResponse,
        DeleteRecipientRequest, DeleteRecipientResponse, ListAlertRulesRequest, ListAlertRulesResponse,
        ListAlertsRequest, ListAlertsResponse, ListRecipientsRequest, ListRecipientsResponse, PreviewAlertRuleRequest,
        PreviewAlertRuleResponse, SendTestMessageRequest, SendTestMessageResponse, SetAlertRuleRequest,
        SetAlertRuleResponse, SetRecipientRequest, SetRecipientResponse, SnoozeAlertRequest, SnoozeAlertResponse,
        alert_service_server::AlertService,
    },
    service::{Service, alerts::name_of},
};

const DEFAULT_ALERTS: usize = 100;

/// The alert service.
#[derive(Clone, Debug)]
pub struct Alerts {
    aside: Aside,
}

impl Alerts {
    pub fn new(aside: Aside) -> Self {
        Self { aside }
    }

    fn service(&self) -> &Arc<Service> {
        self.aside.queries.service()
    }

    /// The project that a call is of, when the caller may see it.
    fn project(&self, caller: &Caller, name: &mut String) -> Result<Project, Error> {
        caller.scope(name)?;
        let project = convert::project(name)?;
        match project.is_across() {
            true => Ok(project),
            false => self.aside.queries.seen(&project).map(|()| project),
        }
    }
}

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn list_alerts(&self, request: Request<ListAlertsRequest>) -> Result<Response<ListAlertsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        all_projects(request.all_projects, &caller)?;
        let project = match request.all_projects {
            true => None,
            false => Some(self.project(&caller, &mut request.project)?),
        };
        let page = Page::take("alerts", DEFAULT_ALERTS, &mut request)?;
        let after = page.after.as_deref().map(place).transpose()?;
        let listed = self.aside.run(move |queries| {
            let (service, now) = (queries.service(), queries.service().clock.now());
            let mut listed = service.alerts.list(project.as_ref());
            listed.retain(|past| !request.firing || past.alert.phase == Phase::Firing);
            listed.sort_by_key(|past| std::cmp::Reverse((past.alert.began, name_of(past.alert.subject))));
            let wanted = listed.iter().filter(|past| {
                after.as_ref().is_none_or(|after| (past.alert.began, name_of(past.alert.subject)) < *after)
            });
            let (alerts, last) = page.cut(wanted);
            let token = |alert: &crate::alert::Alert| {
                let bytes = [&alert.began.0.to_be_bytes()[..], name_of(alert.subject).as_bytes()].concat();
                page.token(&bytes)
            };
            Ok(ListAlertsResponse {
                next_page_token: last.map(|last| token(&last.alert)).unwrap_or_default(),
                alerts: alerts.into_iter().map(|past| view::alert(service, past, now)).collect(),
            })
        });
        Ok(Response::new(listed.await?))
    }

    async fn snooze_alert(
        &self,
        request: Request<SnoozeAlertRequest>,
    ) -> Result<Response<SnoozeAlertResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let project = self.project(&caller, &mut request.project)?;
        check::by(&request.set_by)?;
        let until = request.until.map(|until| convert::time("until", until)).transpose()?.unwrap_or_default();
        let snoozed = self.aside.run(move |queries| {
            let (service, now) = (queries.service(), queries.service().clock.now());
            let (name, by) = (&request.alert, &request.set_by);
            if request.until.is_some() && until <= now.wall {
                return Err(Error::invalid("until", "is over: say a time ahead, or none to end the snooze"));
            }
            let alert = service.snooze_alert(&project, name, until, by, &caller.actor(), now)?;
            Ok(view::alert_of(service, alert, now))
        });
        Ok(Response::new(SnoozeAlertResponse { alert: Some(snoozed.await?) }))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<AcknowledgeAlertRequest>,
    ) -> Result<Response<AcknowledgeAlertResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let project = self.project(&caller, &mut request.project)?;
        check::by(&request.set_by)?;
        let seen = self.aside.run(move |queries| {
            let (service, now) = (queries.service(), queries.service().clock.now());
            let (name, by, actor) = (&request.alert, &request.set_by, caller.actor());
            let alert = match request.take_back {
                false => service.acknowledge_alert(&project, name, by, &actor, now)?,
                true => service.take_back_acknowledgement(&project, name, by, &actor, now)?,
            };
            Ok(view::alert_of(service, alert, now))
        });
        Ok(Response::new(AcknowledgeAlertResponse { alert: Some(seen.await?) }))
    }

    async fn list_alert_rules(
        &self,
        request: Request<ListAlertRulesRequest>,
    ) -> Result<Response<ListAlertRulesResponse>, Status> {
        let caller = Caller::of(&request)?;
        let project = self.project(&caller, &mut request.into_inner().project)?;
        let rules = self.aside.run(move |queries| Ok(queries.service().alerts.rules(&project)));
        let rules = rules.await?.iter().map(|rule| view::rule(rule)).collect();
        Ok(Response::new(ListAlertRulesResponse { rules }))
    }

    async fn set_alert_rule(
        &self,
        request: Request<SetAlertRuleRequest>,
    ) -> Result<Response<SetAlertRuleResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let project = self.project(&caller, &mut request.project)?;
        let rule = check::rule(&project, request.rule)?;
        let set = self.aside.run(move |queries| {
            let service = queries.service();
            service.set_alert_rule(rule, &caller.actor(), service.clock.now())
        });
        Ok(Response::new(SetAlertRuleResponse { rule: Some(view::rule(&*set.await?)) }))
    }

    async fn delete_alert_rule(
        &self,
        request: Request<DeleteAlertRuleRequest>,
    ) -> Result<Response<DeleteAlertRuleResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let project = self.project(&caller, &mut request.project)?;
        let deleted = self.aside.run(move |queries| {
            let service = queries.service();
            service.remove_alert_rule(&project, &request.rule_name, &caller.actor(), service.clock.now())
        });
        deleted.await?;
        Ok(Response::new(DeleteAlertRuleResponse {}))
    }

    async fn preview_alert_rule(
        &self,
        request: Request<PreviewAlertRuleRequest>,
    ) -> Result<Response<PreviewAlertRuleResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let project = self.project(&caller, &mut request.project)?;
        let rule = check::rule(&project, request.rule)?;
        if !rule.kind.is_of_level() {
            return Err(Error::invalid("kind", "only rules of levels can be previewed").into());
        }
        let preview = self.aside.run(move |queries| queries.preview(rule, queries.service().clock.now()));
        Ok(Response::new(view::preview(&preview.await?)))
    }

    async fn list_recipients(
        &self,
        request: Request<ListRecipientsRequest>,
    ) -> Result<Response<ListRecipientsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let project = self.project(&caller, &mut request.into_inner().project)?;
        let recipients = self.aside.run(move |queries| Ok(queries.service().alerts.recipients(&project)));
        let recipients = recipients.await?.iter().map(view::recipient).collect();
        let mail_configured = self.service().config.alerts.smtp.is_some();
        Ok(Response::new(ListRecipientsResponse { recipients, mail_configured }))
    }

    async fn set_recipient(
        &self,
        request: Request<SetRecipientRequest>,
    ) -> Result<Response<SetRecipientResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let project = self.project(&caller, &mut request.project)?;
        let set = self.aside.run(move |queries| {
            let service = queries.service();
            let kept = request.recipient.as_ref().and_then(|named| service.alerts.recipient(&project, &named.name));
            let recipient = check::recipient(&project, request.recipient, kept.as_ref())?;
            service.set_recipient(recipient, &caller.actor(), service.clock.now())
        });
        Ok(Response::new(SetRecipientResponse { recipient: Some(view::recipient(&set.await?)) }))
    }

    async fn delete_recipient(
        &self,
        request: Request<DeleteRecipientRequest>,
    ) -> Result<Response<DeleteRecipientResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let project = self.project(&caller, &mut request.project)?;
        let deleted = self.aside.run(move |queries| {
            let service = queries.service();
            service.remove_recipient(&project, &request.recipient_name, &caller.actor(), service.clock.now())
        });
        deleted.await?;
        Ok(Response::new(DeleteRecipientResponse {}))
    }

    async fn send_test_message(
        &self,
        request: Request<SendTestMessageRequest>,
    ) -> Result<Response<SendTestMessageResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let project = self.project(&caller, &mut request.project)?;
        let name = request.recipient_name;
        let found = {
            let (project, name) = (project.clone(), name.clone());
            self.aside.run(move |queries| Ok(queries.service().alerts.recipient(&project, &name))).await?
        };
        let recipient = found.ok_or(Error::NotFound { what: "recipient", name })?;
        let queries = self.aside.queries.clone();
        let tried = courier::send_test(&queries, recipient, self.service().clock.now()).await;
        Ok(Response::new(view::tried(&tried)))
    }
}

/// Where an alert stands in the list: the second in which it began, then its name.
fn place(bytes: &[u8]) -> Result<(Tick, String), FieldProblem> {
    let (began, name) = bytes.split_first_chunk().ok_or_else(not_given)?;
    let name = String::from_utf8(name.to_vec()).map_err(|_| not_given())?;
    Ok((Tick(u64::from_be_bytes(*began)), name))
}
