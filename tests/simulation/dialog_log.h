// All requests that the gateway sent, by dialog: CSeq never goes back, NOTIFYs never overlap.
#ifndef TESTS_DIALOG_LOG_H
#define TESTS_DIALOG_LOG_H

#include "core/wire/sip.h"

struct dialog_log;

struct dialog_log *dialog_log_create(void);
void dialog_log_destroy(struct dialog_log *l);
// True: sent for the first time; false: sent again. *fault says what is wrong with it.
bool dialog_log_request(struct dialog_log *l, const struct sip_message *m, uint64_t now_ms,
                        uint32_t t1_ms, const char **fault);
// Our answer to a request. False: an accepted NOTIFY is older than one accepted before.
bool dialog_log_answer(struct dialog_log *l, const struct sip_message *m);
// A final answer has come in.
void dialog_log_answered(struct dialog_log *l, const struct sip_message *m);
// The write of a record that names dialogs is lost: their numbers may be used again.
void dialog_log_lost(struct dialog_log *l, struct text record);
// The process died: nothing is in flight any more.
void dialog_log_death(struct dialog_log *l);

#endif
