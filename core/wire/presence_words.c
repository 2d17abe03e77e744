// The words of RPID's enumerations, and what XEP-0108 calls the same.
#include "core/wire/presence.h"

#include <assert.h>

static const struct {
    struct text word;
    enum presence_show show;
} ACTIVITIES[] = {
    // RFC 4480 §3.2; what asks not to be disturbed is dnd.
    {{"appointment", 11}, SHOW_DND}, {{"away", 4}, SHOW_AWAY},
    {{"breakfast", 9}, SHOW_NONE},   {{"busy", 4}, SHOW_DND},
    {{"dinner", 6}, SHOW_NONE},      {{"holiday", 7}, SHOW_NONE},
    {{"in-transit", 10}, SHOW_NONE}, {{"looking-for-work", 16}, SHOW_NONE},
    {{"lunch", 5}, SHOW_NONE},       {{"meal", 4}, SHOW_NONE},
    {{"meeting", 7}, SHOW_DND},      {{"on-the-phone", 12}, SHOW_DND},
    {{"performance", 11}, SHOW_DND}, {{"permanent-absence", 17}, SHOW_NONE},
    {{"playing", 7}, SHOW_NONE},     {{"presentation", 12}, SHOW_DND},
    {{"shopping", 8}, SHOW_NONE},    {{"sleeping", 8}, SHOW_NONE},
    {{"spectator", 9}, SHOW_NONE},   {{"steering", 8}, SHOW_DND},
    {{"travel", 6}, SHOW_NONE},      {{"tv", 2}, SHOW_NONE},
    {{"vacation", 8}, SHOW_NONE},    {{"working", 7}, SHOW_NONE},
    {{"worship", 7}, SHOW_NONE},
};

// RFC 4480 §3.5, in its order.
static const struct text MOODS[] = {
    {"afraid", 6},       {"amazed", 6},      {"angry", 5},        {"annoyed", 7},
    {"anxious", 7},      {"ashamed", 7},     {"bored", 5},        {"brave", 5},
    {"calm", 4},         {"cold", 4},        {"confused", 8},     {"contented", 9},
    {"cranky", 6},       {"curious", 7},     {"depressed", 9},    {"disappointed", 12},
    {"disgusted", 9},    {"distracted", 10}, {"embarrassed", 11}, {"excited", 7},
    {"flirtatious", 11}, {"frustrated", 10}, {"grumpy", 6},       {"guilty", 6},
    {"happy", 5},        {"hot", 3},         {"humbled", 7},      {"humiliated", 10},
    {"hungry", 6},       {"hurt", 4},        {"impressed", 9},    {"in_awe", 6},
    {"in_love", 7},      {"indignant", 9},   {"interested", 10},  {"invincible", 10},
    {"jealous", 7},      {"lonely", 6},      {"mean", 4},         {"moody", 5},
    {"nervous", 7},      {"neutral", 7},     {"offended", 8},     {"playful", 7},
    {"proud", 5},        {"relieved", 8},    {"remorseful", 10},  {"restless", 8},
    {"sad", 3},          {"sarcastic", 9},   {"serious", 7},      {"shocked", 7},
    {"shy", 3},          {"sick", 4},        {"sleepy", 6},       {"stressed", 8},
    {"surprised", 9},    {"thirsty", 7},     {"worried", 7},
};

// XEP-0108 has more words; those without a match here stay free text.
static const struct {
    struct text word;
    unsigned activity;
} OF_XMPP[] = {
    {{"eating", 6}, 9},              // meal
    {{"having_appointment", 18}, 0}, // appointment
    {{"traveling", 9}, 20},          // travel
    {{"working", 7}, 23},            // working
    {{"having_breakfast", 16}, 2},   // breakfast
    {{"having_dinner", 13}, 4},      // dinner
    {{"having_lunch", 12}, 8},       // lunch
    {{"in_a_meeting", 12}, 10},      // meeting
    {{"on_the_phone", 12}, 11},      // on-the-phone
    {{"on_video_phone", 14}, 11},    // on-the-phone
    {{"driving", 7}, 19},            // steering
    {{"in_a_car", 8}, 6},            // in-transit
    {{"on_a_bus", 8}, 6},            // in-transit
    {{"on_a_plane", 10}, 6},         // in-transit
    {{"on_a_train", 10}, 6},         // in-transit
    {{"commuting", 9}, 6},           // in-transit
    {{"on_a_trip", 9}, 20},          // travel
    {{"on_vacation", 11}, 22},       // vacation
    {{"scheduled_holiday", 17}, 5},  // holiday
    {{"shopping", 8}, 16},           // shopping
    {{"buying_groceries", 16}, 16},  // shopping
    {{"sleeping", 8}, 17},           // sleeping
    {{"watching_tv", 11}, 21},       // tv
    {{"gaming", 6}, 14},             // playing
    {{"playing_sports", 14}, 14},    // playing
    {{"praying", 7}, 24},            // worship
};
#define COUNT(a) (sizeof(a) / sizeof *(a))
static_assert(COUNT(ACTIVITIES) == PRESENCE_ACTIVITIES, "as many words as the header says");
static_assert(COUNT(MOODS) == PRESENCE_MOODS && PRESENCE_MOODS <= 64, "a bit for each mood");

bool presence_activity_parse(struct text t, unsigned *out)
{
    for (*out = 0; *out < PRESENCE_ACTIVITIES; ++*out)
        if (text_eq(t, ACTIVITIES[*out].word))
            return true;
    return false;
}

struct text presence_activity(unsigned i)
{
    return i < PRESENCE_ACTIVITIES ? ACTIVITIES[i].word : (struct text){"", 0};
}

enum presence_show presence_activity_show(unsigned i)
{
    assert(i < PRESENCE_ACTIVITIES);
    return ACTIVITIES[i].show;
}

bool presence_mood_parse(struct text t, unsigned *out)
{
    for (*out = 0; *out < PRESENCE_MOODS; ++*out)
        if (text_eq(t, MOODS[*out]))
            return true;
    return false;
}

struct text presence_mood(unsigned i)
{
    return i < PRESENCE_MOODS ? MOODS[i] : (struct text){"", 0};
}

bool presence_activity_of_xmpp(struct text t, unsigned *out)
{
    for (size_t i = 0; i < COUNT(OF_XMPP); i++)
        if (text_eq(t, OF_XMPP[i].word)) {
            *out = OF_XMPP[i].activity;
            return true;
        }
    return false;
}

// By the table of XEP-0108 §4; what RFC 4480 §3.2 calls a sub-class of an appointment is one.
static const struct {
    struct text general, specific;
} TO_XMPP[PRESENCE_ACTIVITIES] = {
    [0] = {{"having_appointment", 18}, {"", 0}},        // appointment
    [2] = {{"eating", 6}, {"having_breakfast", 16}},    // breakfast
    [4] = {{"eating", 6}, {"having_dinner", 13}},       // dinner
    [5] = {{"inactive", 8}, {"scheduled_holiday", 17}}, // holiday
    [6] = {{"traveling", 9}, {"", 0}},                  // in-transit: nobody knows by what
    [8] = {{"eating", 6}, {"having_lunch", 12}},        // lunch
    [9] = {{"eating", 6}, {"", 0}},                     // meal
    [10] = {{"working", 7}, {"in_a_meeting", 12}},      // meeting
    [11] = {{"talking", 7}, {"on_the_phone", 12}},      // on-the-phone
    [14] = {{"relaxing", 8}, {"", 0}},                  // playing
    [15] = {{"having_appointment", 18}, {"", 0}},       // presentation
    [16] = {{"relaxing", 8}, {"shopping", 8}},          // shopping
    [17] = {{"inactive", 8}, {"sleeping", 8}},          // sleeping
    [18] = {{"relaxing", 8}, {"", 0}},                  // spectator
    [19] = {{"traveling", 9}, {"driving", 7}},          // steering
    [20] = {{"traveling", 9}, {"on_a_trip", 9}},        // travel
    [21] = {{"relaxing", 8}, {"watching_tv", 11}},      // tv
    [22] = {{"inactive", 8}, {"on_vacation", 11}},      // vacation
    [23] = {{"working", 7}, {"", 0}},                   // working
    [24] = {{"inactive", 8}, {"praying", 7}},           // worship
};

struct text presence_activity_to_xmpp(unsigned i, struct text *specific)
{
    *specific = i < PRESENCE_ACTIVITIES ? TO_XMPP[i].specific : (struct text){0};
    return i < PRESENCE_ACTIVITIES ? TO_XMPP[i].general : (struct text){0};
}

bool presence_activity_is_presence(unsigned i)
{
    struct text word = presence_activity(i);
    return text_eq(word, TEXT("away")) || text_eq(word, TEXT("busy")) ||
           text_eq(word, TEXT("permanent-absence"));
}
