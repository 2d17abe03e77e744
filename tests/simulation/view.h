// What somebody sees of somebody else: one line for each of his devices that is there.
#ifndef TESTS_VIEW_H
#define TESTS_VIEW_H

#include "world.h"

enum { VIEW_MAX = 8, VIEW_TEXT = 24 };

struct shown {
    char resource[VIEW_TEXT], status[VIEW_TEXT];
    enum presence_show show;
    bool has_priority;
    int8_t priority;
};

struct view {
    size_t n;
    struct shown v[VIEW_MAX];
};

// Takes one presence in: replaces, adds or (unavailable) removes; unavailable without a resource
// removes all.
void view_take(struct world *w, struct view *v, const struct presence *p);
bool view_eq(const struct view *a, const struct view *b); // in any order
// As presences, for the writers; text is borrowed from the view.
size_t view_presences(const struct view *v, struct presence out[VIEW_MAX]);
const char *view_print(const struct view *v); // static memory, two at a time
// Some presence of this resource.
void view_draw(struct world *w, struct view *v, const char *resource);
void view_remove(struct view *v, const char *resource);
bool view_has(const struct view *v, const char *resource);

#endif
