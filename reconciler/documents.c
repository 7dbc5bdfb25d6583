/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/documents.h"

#define TEXT(name_, doc_)                                                                          \
    {                                                                                              \
        (name_), .kind = PROP_STRING, .doc = (doc_)                                                \
    }
#define COUNT(name_, doc_)                                                                         \
    {                                                                                              \
        (name_), .kind = PROP_INT, .doc = (doc_)                                                   \
    }
#define FLAG(name_, doc_)                                                                          \
    {                                                                                              \
        (name_), .kind = PROP_BOOL, .doc = (doc_)                                                  \
    }
#define MUST(name_, kind_, doc_)                                                                   \
    {                                                                                              \
        (name_), .kind = (kind_), .flags = PROP_REQUIRED, .doc = (doc_)                            \
    }
#define WORD(name_, words_, doc_)                                                                  \
    {                                                                                              \
        (name_), .kind = PROP_ENUM, .words = (words_), .flags = PROP_REQUIRED, .doc = (doc_)       \
    }
#define ONE(name_, table_, doc_)                                                                   \
    {                                                                                              \
        (name_), .kind = PROP_OBJECT, .object = (table_), .doc = (doc_)                            \
    }
#define MANY(name_, table_, doc_)                                                                  \
    {                                                                                              \
        (name_), .kind = PROP_OBJECTS, .object = (table_), .doc = (doc_)                           \
    }
#define END                                                                                        \
    {                                                                                              \
        0                                                                                          \
    }

static const char *const actions[] = {
    "create", "update", "delete", "take", "move", "forget", NULL
};
static const char *const kinds[] = { "flow", "file", "kv", NULL };
static const char *const impact_levels[] = { "warning", "note", NULL };
static const char *const finding_levels[] = { "error", "warning", "info", "deprecation", NULL };
static const char *const drift_kinds[] = { "changed", "deleted", NULL };

static const struct prop commit_props[] = {
    MUST("commit", PROP_STRING, "Id of the commit."),
    TEXT("subject", "First line of its message."),
    TEXT("author", "Name of its author."),
    TEXT("email", "Address of its author."),
    TEXT("committedAt", "Instant, ISO 8601."),
    END,
};

static const struct prop summary_props[] = {
    COUNT("create", "Objects to create."),
    COUNT("change", "Objects to change."),
    COUNT("delete", "Objects to delete."),
    COUNT("other", "Objects of which only something is noted: taken over, moved, forgotten."),
    COUNT("unchanged", "Objects of the source that stay as they are."),
    COUNT("errors", "Findings that are errors."),
    COUNT("warnings", "Findings that are warnings."),
    END,
};

static const struct prop field_props[] = {
    MUST("path", PROP_STRING, "Field, with ids of tasks and triggers; empty for a whole value."),
    { "before", .kind = PROP_ANY, .doc = "Value before; left out when the field is new." },
    { "after", .kind = PROP_ANY, .doc = "Value after; left out when the field is removed." },
    COUNT("linesAdded", "Lines added, of texts of several lines."),
    COUNT("linesRemoved", "Lines removed, of texts of several lines."),
    END,
};

static const struct prop schedule_props[] = {
    TEXT("trigger", "Id of the trigger."),
    TEXT("zone", "Time zone it fires in."),
    { "before", .kind = PROP_LIST, .item = PROP_STRING, .doc = "Next instants before." },
    { "after", .kind = PROP_LIST, .item = PROP_STRING, .doc = "Next instants after." },
    END,
};

static const struct prop running_props[] = {
    COUNT("count", "Executions that have not ended."),
    COUNT("revision", "Revision of the newest one."),
    FLAG("isMixed", "They run several revisions."),
    END,
};

static const struct prop overwrites_props[] = {
    TEXT("actor", "Who changed it beside Git."),
    TEXT("at", "When, ISO 8601."),
    END,
};

static const struct prop change_props[] = {
    WORD("action", actions, "What happens to the object."),
    WORD("kind", kinds, "What it is."),
    MUST("namespace", PROP_STRING, "Its namespace."),
    MUST("name", PROP_STRING, "Id of a flow, path of a file, key of an entry."),
    TEXT("path", "File of the repository."),
    TEXT("pathBefore", "File that defined it before."),
    COUNT("revisionBefore", "Revision of the flow that is deployed."),
    COUNT("revisionAfter", "Revision that the apply makes."),
    FLAG("sameMeaning", "The text differs, its meaning does not."),
    FLAG("isBinary", "The file is no text."),
    COUNT("linesAdded", "Lines added."),
    COUNT("linesRemoved", "Lines removed."),
    COUNT("bytesBefore", "Size of the file that is deployed."),
    COUNT("bytesAfter", "Size of the file in the commit."),
    MANY("fields", field_props, "Differences by meaning."),
    COUNT("fieldsMore", "Differences that are not listed."),
    MANY("schedules", schedule_props, "When triggers fire next, where that changes."),
    ONE("running", running_props, "Executions under way of a flow that is deleted."),
    ONE("overwrites", overwrites_props, "A change beside Git that is lost."),
    END,
};

static const struct prop place_props[] = {
    WORD("kind", kinds, "What is there."),      MUST("namespace", PROP_STRING, "Its namespace."),
    MUST("name", PROP_STRING, "Its name."),     TEXT("file", "File of the repository."),
    COUNT("line", "Line in the file, from 1."), END,
};

static const struct prop impact_props[] = {
    WORD("level", impact_levels, "A warning may break something; a note is good to know."),
    MUST("code", PROP_STRING, "Stable name of the kind of impact."),
    WORD("kind", kinds, "What the change that causes it is about."),
    MUST("namespace", PROP_STRING, "Its namespace."),
    MUST("name", PROP_STRING, "Its name."),
    MUST("text", PROP_STRING, "One sentence."),
    MANY("places", place_props, "Where it matters."),
    COUNT("placesMore", "Places that are not listed."),
    END,
};

static const struct prop excerpt_props[] = {
    COUNT("line", "Number of the line, from 1."),
    TEXT("text", "The line."),
    END,
};

static const struct prop finding_props[] = {
    WORD("level", finding_levels, "Errors hold a commit."),
    TEXT("code", "Stable name of the kind of finding."),
    TEXT("file", "File of the repository."),
    COUNT("line", "Line in the file, from 1."),
    COUNT("column", "Column in the line, from 1."),
    COUNT("width", "Columns it is about."),
    TEXT("path", "Path inside the document."),
    MUST("message", PROP_STRING, "What is wrong."),
    TEXT("advice", "What to do."),
    TEXT("see", "Where to read more."),
    MANY("excerpt", excerpt_props, "The lines around it."),
    END,
};

static const struct prop hold_props[] = {
    MUST("code", PROP_STRING, "findings, deletions, protected, window or approval."),
    MUST("text", PROP_STRING, "One sentence."),
    END,
};

const struct prop plan_document_props[] = {
    MUST("version", PROP_INT, "Of this document's shape; grows when members are added."),
    MUST("source", PROP_STRING, "Name of the source."),
    MUST("repository", PROP_STRING, "Address of the repository, without credentials."),
    MUST("branch", PROP_STRING, "Branch or name that was asked for."),
    ONE("base", commit_props, "The commit that is applied; left out when nothing is yet."),
    ONE("head", commit_props, "The commit that the plan would apply."),
    FLAG("isRewritten", "History was rewritten: base is not an ancestor of head."),
    FLAG("isPartial", "Files with errors are left out, as the repository wants it."),
    FLAG("isHeld", "It may not be applied as it is."),
    MUST("digest", PROP_STRING, "SHA-256 over what the plan was made from and what it does."),
    ONE("summary", summary_props, "Counts."),
    MANY("changes", change_props, "What changes, sorted by kind, namespace and name."),
    MANY("impact", impact_props, "What the changes may break, warnings first."),
    MANY("findings", finding_props, "Mistakes in the files, sorted by file and line."),
    MANY("holds", hold_props, "Why it may not be applied."),
    FLAG("applied", "In answers to an apply."),
    END,
};

static const struct prop drift_item_props[] = {
    WORD("drift", drift_kinds, "What happened to the object."),
    WORD("kind", kinds, "What it is."),
    MUST("namespace", PROP_STRING, "Its namespace."),
    MUST("name", PROP_STRING, "Id of a flow, path of a file, key of an entry."),
    TEXT("path", "File of the repository."),
    COUNT("revisionApplied", "Revision of the flow that was applied."),
    COUNT("revisionLive", "Revision of the flow that is deployed."),
    FLAG("sameMeaning", "The text differs, its meaning does not."),
    MANY("fields", field_props, "Differences, applied before and live after."),
    COUNT("fieldsMore", "Differences that are not listed."),
    COUNT("fieldsTolerated", "Differences that operators own."),
    TEXT("actor", "Who changed it last."),
    TEXT("channel", "By which way: api, cli, ui, task."),
    TEXT("at", "When, ISO 8601."),
    END,
};

const struct prop drift_document_props[] = {
    MUST("version", PROP_INT, "Of this document's shape; grows when members are added."),
    MUST("source", PROP_STRING, "Name of the source."),
    TEXT("commit", "The commit applied last; left out when nothing is yet."),
    COUNT("objects", "Objects that were compared."),
    COUNT("drifted", "Objects that differ."),
    COUNT("tolerated", "Objects whose differences operators own."),
    MANY("items", drift_item_props, "Objects that differ."),
    END,
};
