// Transactions of the SIP side (RFC 3261 §17), and the forms of its messages.
#ifndef TESTS_SIP_WIRE_H
#define TESTS_SIP_WIRE_H

#include "sip_model.h"

enum sip_owner { OWNER_NOTIFIER, OWNER_DEVICE, OWNER_NOBODY };

// A request of ours on its way. `status` 408: nobody answered.
struct sip_request_out {
    char branch[40];
    char *bytes;
    size_t n;
    uint64_t give_up_ms;
    uint32_t interval_ms;
    uint16_t port;
    enum sip_owner owner;
    void *who;
    unsigned incarnation;
};

uint64_t sip_number(struct world *w);
// Into the model's buffer: the request line and the fields that all requests have.
struct buffer *sip_begin(struct world *w, const char *method, const char *ruri, const char *from,
                         const char *to, const struct sip_leg *leg, char branch[40]);
void sip_line(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sip_body(struct buffer *b, struct text pidf);
// Sends what the buffer holds, until it is answered.
void sip_send(struct world *w, const char *branch, const char *target, enum sip_owner owner,
              void *who, unsigned incarnation);
void sip_response(struct world *w, const struct sip_message *m);
void sip_answer(struct world *w, const struct sip_message *m, unsigned status, const char *to_tag,
                const char *headers);
// True: it was answered before, and has been answered so again.
bool sip_answered(struct world *w, const struct sip_message *m);
void sip_wire_create(struct world *w);
void sip_wire_free(struct world *w);

void sip_copy(char to[SIP_TEXT], const struct sip_message *m, struct span at);

// From the transactions.
void sip_server_answered(struct world *w, struct notifier *n, unsigned status);
void sip_device_answered(struct world *w, struct device *d, unsigned status,
                         const struct sip_message *m);
// Requests.
void sip_server_subscribe(struct world *w, const struct sip_message *m);
void sip_device_notify(struct world *w, const struct sip_message *m);

#endif
