// Reads TOML with toml++ and hands the values to C: where exceptions end.
#include "shards/config_toml.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <toml++/toml.h>

namespace
{

struct walker {
    bool (*visit)(void *, const config_toml_value *);
    void *arg;
};

config_toml_place place_of(const toml::source_region &region)
{
    return {region.begin.line ? region.begin.line : 1,
            region.begin.column ? region.begin.column : 1};
}

// Bare keys as they are (TOML 1.0, Keys), others in quotes, so that "a.b" can't pass for a.b.
std::string path_join(const std::string &base, std::string_view key)
{
    bool bare = !key.empty();
    for (char c : key)
        bare = bare && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_' || c == '-');
    std::string path = base.empty() ? "" : base + ".";
    path += bare ? std::string(key) : '"' + std::string(key) + '"';
    if (path.size() >= CONFIG_TOML_PATH_MAX)
        path.replace(CONFIG_TOML_PATH_MAX - 4, std::string::npos, "...");
    return path;
}

config_toml_type type_of(const toml::node &node)
{
    switch (node.type()) {
    case toml::node_type::string: return CONFIG_TOML_STRING;
    case toml::node_type::integer: return CONFIG_TOML_INTEGER;
    case toml::node_type::boolean: return CONFIG_TOML_BOOLEAN;
    case toml::node_type::floating_point: return CONFIG_TOML_FLOAT;
    case toml::node_type::array: return CONFIG_TOML_ARRAY;
    case toml::node_type::table: return CONFIG_TOML_TABLE;
    default: return CONFIG_TOML_DATE;
    }
}

config_toml_value value_of(const std::string &path, const toml::node &node,
                           config_toml_place key_at)
{
    config_toml_value v{};
    v.path = path.c_str();
    v.type = type_of(node);
    v.at = place_of(node.source());
    v.key_at = key_at;
    if (const auto *s = node.as_string())
        v.string = {s->get().data(), s->get().size()};
    else if (const auto *i = node.as_integer())
        v.integer = i->get();
    else if (const auto *b = node.as_boolean())
        v.boolean = b->get();
    else if (const auto *a = node.as_array())
        v.n = a->size();
    return v;
}

void walk_array(const walker &w, const std::string &path, const toml::array &items)
{
    for (const toml::node &item : items) {
        config_toml_value v = value_of(path, item, place_of(item.source()));
        v.is_item = true;
        v.table = "";
        w.visit(w.arg, &v);
    }
}

void walk_table(const walker &w, const std::string &base, const toml::table &table)
{
    for (auto &&[key, node] : table) {
        const std::string path = path_join(base, key.str());
        config_toml_value v = value_of(path, node, place_of(key.source()));
        v.table = base.c_str();
        v.key = {key.str().data(), key.str().size()};
        if (!w.visit(w.arg, &v))
            continue;
        if (const auto *inner = node.as_table())
            walk_table(w, path, *inner);
        else if (const auto *items = node.as_array())
            walk_array(w, path, *items);
    }
}

void fail(config_toml_error *why, std::string_view text, config_toml_place at)
{
    snprintf(why->text, sizeof why->text, "%.*s", static_cast<int>(text.size()), text.data());
    why->at = at;
}

// Where a string that begins at `i` ends: the index after its closing quotes, or `doc`'s end.
size_t string_end(std::string_view doc, size_t i)
{
    const char quote = doc[i];
    const std::string three(3, quote);
    const bool multiline = doc.substr(i, 3) == three;
    for (i += multiline ? 3 : 1; i < doc.size(); i++) {
        if (doc[i] == '\\' && quote == '"')
            i++;
        else if (multiline && doc.substr(i, 3) == three)
            // One or two quotes may stand right before the closing three.
            return std::min(doc.find_first_not_of(quote, i), std::min(i + 5, doc.size()));
        else if (!multiline && (doc[i] == quote || doc[i] == '\n'))
            return i + 1;
    }
    return doc.size();
}

// Too many dots: a table in a table in a table … deeper than the library's recursion can go.
bool too_many_dots(std::string_view doc, config_toml_place *at)
{
    size_t dots = 0, line_start = 0;
    unsigned line = 1;
    for (size_t i = 0; i < doc.size();) {
        const char c = doc[i];
        if (c == '"' || c == '\'') {
            const size_t end = string_end(doc, i);
            for (; i < end; i++)
                if (doc[i] == '\n')
                    line++, line_start = i + 1;
            continue;
        }
        if (c == '#') {
            const size_t end = doc.find('\n', i);
            i = end == std::string_view::npos ? doc.size() : end;
            continue;
        }
        i++;
        if (c == '\n')
            line++, line_start = i;
        else if (c == '.' && ++dots > CONFIG_TOML_DOTS_MAX) {
            *at = {line, static_cast<unsigned>(i - line_start)};
            return true;
        }
    }
    return false;
}

int walk_document(std::string_view doc, const walker &w, config_toml_error *why)
{
    config_toml_place at{1, 1};
    if (too_many_dots(doc, &at)) {
        fail(why, "too many dotted keys", at);
        return EINVAL;
    }
    const toml::table root = toml::parse(doc);
    walk_table(w, "", root);
    return 0;
}

} // namespace

extern "C" int config_toml_walk(struct text doc,
                                bool (*visit)(void *, const struct config_toml_value *), void *arg,
                                struct config_toml_error *why)
{
    try {
        return walk_document({doc.p, doc.n}, {visit, arg}, why);
    } catch (const toml::parse_error &e) {
        fail(why, e.description(), place_of(e.source()));
        return EINVAL;
    } catch (const std::bad_alloc &) {
        fail(why, "out of memory", {1, 1});
        return ENOMEM;
    } catch (...) {
        fail(why, "the TOML library failed", {1, 1});
        return EINVAL;
    }
}
