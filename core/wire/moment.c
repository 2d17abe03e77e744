// Moments as text: RFC 3339 §5.6, which XEP-0082 §3.2 profiles for XMPP.
#include "core/wire/moment.h"

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS };

// Days from 1970-01-01 in the Gregorian calendar, which is taken to have held always (as RFC 3339
// has it). The year is counted from March, so that the leap day comes last.
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month < 3;
    int64_t era = year / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month < 3 ? month + 9 : month - 3) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    unsigned z = (unsigned)(days + 719468); // from year 0 on, so never negative
    unsigned era = z / 146097, of_era = z % 146097;
    unsigned years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * years + years / 4 - years / 100);
    unsigned m = (5 * of_year + 2) / 153;
    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = years + era * 400 + (*month < 3);
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const unsigned char DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 || year % 400 == 0);
    return DAYS[month - 1] + (month == 2 && leap);
}

// Takes `n` digits and what must follow them ('\0': nothing) from the front of t.
static bool take(struct text *t, size_t n, char end, unsigned max, unsigned *out)
{
    uint32_t v;
    size_t all = n + (end != '\0');
    if (t->n < all || !text_to_u32((struct text){t->p, n}, max, &v) || (end && t->p[n] != end))
        return false;
    *out = v;
    t->p += all;
    t->n -= all;
    return true;
}

static bool take_fraction(struct text *t, unsigned *ms)
{
    *ms = 0;
    if (!t->n || t->p[0] != '.')
        return true;
    unsigned weight = 100;
    size_t i = 1;
    for (; i < t->n && t->p[i] >= '0' && t->p[i] <= '9'; i++, weight /= 10)
        *ms += (unsigned)(t->p[i] - '0') * weight;
    t->p += i;
    t->n -= i;
    return i > 1;
}

// "Z" or the hours and minutes that the clock is ahead of UTC.
static bool take_zone(struct text t, int64_t *ahead_ms)
{
    unsigned hours, minutes;
    *ahead_ms = 0;
    if (text_eq_nocase(t, TEXT("Z")))
        return true;
    char sign = t.n ? t.p[0] : '\0';
    if (sign != '+' && sign != '-')
        return false;
    t.p++, t.n--;
    if (!take(&t, 2, ':', 23, &hours) || !take(&t, 2, '\0', 59, &minutes) || t.n)
        return false;
    *ahead_ms = (int64_t)(hours * 60 + minutes) * MINUTE_MS * (sign == '-' ? -1 : 1);
    return true;
}

bool moment_parse(struct text t, int64_t *ms)
{
    unsigned year, month, day, hour, minute, second, fraction;
    int64_t ahead;
    t = text_trim(t);
    if (t.n > MOMENT_TEXT_MAX || !take(&t, 4, '-', 9999, &year) || !take(&t, 2, '-', 12, &month) ||
        !take(&t, 2, '\0', 31, &day) || !t.n || (t.p[0] | 0x20) != 't')
        return false;
    t.p++, t.n--;
    if (!take(&t, 2, ':', 23, &hour) || !take(&t, 2, ':', 59, &minute) ||
        !take(&t, 2, '\0', 60, &second) || !take_fraction(&t, &fraction) || !take_zone(t, &ahead))
        return false;
    if (!year || !month || !day || day > days_in(year, month))
        return false;
    *ms = days_of(year, month, day) * DAY_MS + (int64_t)hour * HOUR_MS +
          (int64_t)minute * MINUTE_MS + (int64_t)second * 1000 + fraction - ahead;
    static const int64_t first = -62135596800000, last = 253402300799999; // years 1 and 9999 in UTC
    return *ms >= first && *ms <= last;
}

static void digits(struct buffer *b, unsigned v, unsigned weight, char end)
{
    for (; weight; weight /= 10)
        buffer_char(b, (char)('0' + v / weight % 10));
    buffer_char(b, end);
}

void moment_write(struct buffer *b, int64_t ms)
{
    unsigned year, month, day;
    int64_t days = (ms - (ms < 0 ? DAY_MS - 1 : 0)) / DAY_MS;
    unsigned rest = (unsigned)(ms - days * DAY_MS);
    date_of(days, &year, &month, &day);
    digits(b, year, 1000, '-');
    digits(b, month, 10, '-');
    digits(b, day, 10, 'T');
    digits(b, rest / HOUR_MS, 10, ':');
    digits(b, rest / MINUTE_MS % 60, 10, ':');
    digits(b, rest / 1000 % 60, 10, rest % 1000 ? '.' : 'Z');
    if (rest % 1000)
        digits(b, rest % 1000, 100, 'Z');
}
