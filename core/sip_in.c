// SIP messages as they come in.
//
//   message ─▶ a response? to its transaction
//           ─▶ can it be answered? trusted source? well-formed? hops left? extensions known?
//           ─▶ by method and dialog: serve_subscribe, serve_resubscribe, watch_notify, or a refusal
#include "core/sip_in.h"

#include "core/dialog.h"
#include "core/domain.h"
#include "core/loop.h"
#include "core/serve.h"
#include "core/serve_winfo.h"
#include "core/sub.h"
#include "core/transaction.h"
#include "core/watch.h"

#define SIP_IN_ALLOW "Allow: SUBSCRIBE, NOTIFY, OPTIONS\r\n"

// A dialog outlives the trust in its ends only until somebody uses it.
static bool sip_in_trusted(const struct core *c, uint32_t dialog)
{
    uint32_t sub = core_dialog(c, dialog)->sub;
    return !sub || sub_trusted(c, core_sub(c, sub));
}

static void sip_in_subscribe(struct core *c, const struct event *ev)
{
    if (ev->sip->to_tag.n == 0) {
        serve_subscribe(c, ev);
        return;
    }
    uint32_t dialog = dialog_find(c, ev->sip);
    if (!dialog || core_dialog(c, dialog)->direction != SIP_TO_XMPP)
        server_refuse(c, ev, 481, (struct text){0});
    else if (!sip_in_trusted(c, dialog))
        server_refuse(c, ev, 403, (struct text){0});
    else
        serve_resubscribe(c, ev, dialog);
}

// RFC 7247 §8: such a request is not to be translated, unless our own Contact was a sips one.
static bool sip_in_wants_secure_hops(const struct core *c, const struct event *ev, uint32_t dialog)
{
    struct text ruri = sip_text(ev->sip, ev->sip->ruri);
    return !(core_dialog(c, dialog)->route & ROUTE_SIPS) && ruri.n >= 5 &&
           text_eq_nocase((struct text){ruri.p, 5}, TEXT("sips:"));
}

static void sip_in_notify(struct core *c, const struct event *ev)
{
    uint32_t dialog = dialog_find(c, ev->sip);
    if (dialog && core_dialog(c, dialog)->direction == XMPP_TO_SIP) {
        if (!sip_in_trusted(c, dialog))
            server_refuse(c, ev, 403, (struct text){0});
        else if (sip_in_wants_secure_hops(c, ev, dialog))
            server_refuse(c, ev, 416, (struct text){0});
        else
            watch_notify(c, ev, dialog);
        return;
    }
    c->stats.unmatched++;
    if (ev->sip->event != SIP_EVENT_PRESENCE) // RFC 6665 §4.1.3, §8.2.1
        server_refuse(c, ev, 489, TEXT(SERVE_ALLOW_EVENTS));
    else
        server_refuse(c, ev, 481, (struct text){0});
}

// RFC 3261 §11: what we can do, asked of any address.
static void sip_in_options(struct core *c, const struct event *ev)
{
    server_refuse(c, ev, 200,
                  TEXT(SIP_IN_ALLOW SERVE_ALLOW_EVENTS
                       "Accept: application/pidf+xml, application/watcherinfo+xml\r\n"));
}

static void sip_in_method(struct core *c, const struct event *ev)
{
    switch ((enum sip_method)ev->sip->method) {
    case SIP_SUBSCRIBE: sip_in_subscribe(c, ev); break;
    case SIP_NOTIFY: sip_in_notify(c, ev); break;
    case SIP_OPTIONS: sip_in_options(c, ev); break;
    case SIP_CANCEL: // answered, and otherwise ignored (RFC 6665 §4.6)
        server_refuse(c, ev, server_cancelled(c, ev) ? 200 : 481, (struct text){0});
        break;
    case SIP_OTHER: server_refuse(c, ev, 501, TEXT(SIP_IN_ALLOW)); break;
    default: server_refuse(c, ev, 405, TEXT(SIP_IN_ALLOW)); break;
    }
}

// We require and support no extension: RFC 3261 §8.2.2.3.
static void sip_in_bad_extension(struct core *c, const struct event *ev)
{
    buffer_reset(&c->line);
    buffer_lit(&c->line, "Unsupported: ");
    buffer_text(&c->line, sip_text(ev->sip, ev->sip->require));
    buffer_lit(&c->line, "\r\n");
    server_refuse(c, ev, 420, (struct text){c->line.p, c->line.n});
}

static void sip_in_request(struct core *c, const struct event *ev)
{
    const struct sip_message *m = ev->sip;
    struct sip_echo echo;
    if (!m->answerable || m->method == SIP_ACK) {
        c->stats.malformed++;
        return;
    }
    sip_echo_of(&echo, m);
    if (!domain_source_trusted(c, &ev->source)) {
        c->stats.refused_trust++;
        server_refuse(c, ev, 403, (struct text){0});
    } else if (m->defect) {
        c->stats.malformed++;
        server_refuse(c, ev, m->defect, (struct text){0});
    } else if (loop_seen(c, &echo)) {
        server_refuse(c, ev, 482, (struct text){0});
    } else if (m->max_forwards == 0 && m->method != SIP_OPTIONS) {
        server_refuse(c, ev, 483, (struct text){0});
    } else if (m->require.n && m->method != SIP_CANCEL) {
        sip_in_bad_extension(c, ev);
    } else {
        sip_in_method(c, ev);
    }
}

void sip_in(struct core *c, const struct event *ev)
{
    c->stats.sip_in++;
    if (!ev->sip->status)
        sip_in_request(c, ev);
    else if (ev->sip->defect || !domain_source_trusted(c, &ev->source))
        c->stats.malformed++;
    else
        client_response(c, ev->sip);
}
