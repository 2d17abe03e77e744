// Preloaded into Kamailio: ends expat's lists of attributes as its xmpp module expects it.
//
// The module's handler of start tags walks an element's attributes until an empty string, and so
// past the NULL that ends them: Debian's 5.6.3 dies of the XMPP server's stream header. What it is
// given here ends with two empty strings.
#include <dlfcn.h>
#include <stdlib.h>

enum { ELEMENTS_ATTRIBUTES = 64 }; // of one element; further ones are left out

typedef void start_handler(void *user, const char *name, const char **attributes);
typedef void end_handler(void *user, const char *name);
typedef void set_handlers(void *parser, start_handler *start, end_handler *end);

static start_handler *module_start;

static void elements_start(void *user, const char *name, const char **attributes)
{
    const char *ended[2 * ELEMENTS_ATTRIBUTES + 2];
    size_t n = 0;
    for (; n < 2 * ELEMENTS_ATTRIBUTES && attributes[n]; n++)
        ended[n] = attributes[n];
    ended[n] = ended[n + 1] = "";
    module_start(user, name, ended);
}

set_handlers XML_SetElementHandler;

// Kamailio loads its modules with symbols of their own, so RTLD_NEXT does not find expat's.
void XML_SetElementHandler(void *parser, start_handler *start, end_handler *end)
{
    void *expat = dlopen("libexpat.so.1", RTLD_LAZY);
    set_handlers *real = NULL;
    if (expat)
        *(void **)&real = dlsym(expat, "XML_SetElementHandler");
    if (!real)
        abort();
    module_start = start;
    real(parser, elements_start, end);
}
