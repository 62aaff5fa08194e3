"""The recipient's page in English."""

from collector.speech.phrases import Act, Mail, Notice, Phrases, Record, Said

ENGLISH = Phrases(
    language="en",
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    date="{day} {month} {year}",
    notice=Notice(
        title="What this host is",
        what=(
            (
                "An organisation that sends mail uses this host to learn whether its mail is read. "
                "Its mail may hold a small image, loaded from here when the mail is shown, and "
                "links that lead through here to where they say."
            ),
            (
                "When you load such an image or follow such a link, the time, the kind of program "
                "and a part of your network address may be recorded for the sender, or only that "
                "somebody did, as the sender has set it up and as you have agreed. No cookie is "
                "set."
            ),
            (
                "You can object here, and see what is recorded: with any link of the mail, without "
                "an account. You can also tell your mail program not to load images from the "
                "network."
            ),
        ),
        own_words="From the organisation that sends",
        contact="Questions about your data",
        find="See what is known of you, and stop it",
        find_help="Copy a link from the mail, or the address of the small image, and paste it "
        "here. A piece of the mail's source will do too. Copying is enough, you need not follow "
        "the link.",
        find_label="Link from the mail",
        find_button="Show",
        not_ours="There is no link of ours in what you pasted. Copy a whole link from the mail, "
        "from http to its end, and try again.",
    ),
    record=Record(
        title="This mail and you",
        sender="Sent by",
        day="On",
        recipient="To",
        masked="The address is shortened, since others may have this link too if the mail was "
        "passed on.",
        seen="What is on record of this mail",
        opened="its images were loaded",
        clicked="a link of it was followed",
        machine_opened="its images were fetched, by a program it seems",
        machine_clicked="a link of it was fetched, by a program it seems",
        nothing="Nobody is recorded to have opened it or followed a link of it.",
        days_only="Days are those of UTC.",
        state="Whether you are tracked",
        unknown="You have neither agreed nor objected. What may be recorded is up to the sender's "
        "settings.",
        granted="It is on record that you have agreed to be tracked.",
        denied="You have stopped tracking on this page on {day}. Nothing of you is recorded.",
        denied_elsewhere="It is on record that you object to tracking, or that nobody of your "
        "domain may be tracked. Nothing of you is recorded. It was not told on this page and "
        "can not be changed here.",
        not_known="The link is genuine. What is on record of its mail can not be shown now: the "
        "record can not be read at the moment, or has nothing of this mail yet or any more. You "
        "can stop tracking all the same.",
        shared="This link went to several people alike. An open is recorded as one of “someone of "
        "these”, so this page can not know who you are, and shows nothing of anybody.",
        anonymous="This link went to several people alike, and nothing that is recorded by it is "
        "tied to any of them. This page can not know who you are either.",
        untracked="This mail went out without anything that could be recorded.",
    ),
    withdraw=Act(
        title="Stop tracking me",
        words="Stop tracking me. From now on nothing is recorded when I open mail or follow links "
        "of mail that this organisation sends to my address, in mail that I already have too. "
        "Links keep working.",
        button="Stop tracking me",
    ),
    restore=Act(
        title="Allow it again",
        words="This takes back that you have stopped tracking here, and nothing else: it is then "
        "as it was before. To make sure that it is you, a mail is sent to the address; it holds "
        "a link to confirm.",
        button="Send me the mail",
    ),
    ask=Act(
        title="Stop tracking me",
        words="Write the address at which you got the mail. If the mail was sent there, you get "
        "another one with a link to confirm. This page does not tell whether it was.",
        button="Send me the mail",
    ),
    ask_label="Your mail address",
    deny=Act(
        title="Stop tracking me",
        words="Stop tracking {mask}. From now on nothing is recorded when mail of this "
        "organisation to this address is opened or a link of it is followed, in mail already "
        "delivered too. Links keep working.",
        button="Stop tracking me",
    ),
    undo=Act(
        title="Allow it again",
        words="Take back that tracking was stopped for {mask}: from now on it is as it was "
        "before. It is no consent.",
        button="Allow it again",
    ),
    not_unsubscribe="This is not unsubscribing: you keep getting mail. To get no more, use the "
    "mail's own way to unsubscribe, or answer it.",
    withdrawn=Said(
        "You are not tracked any more",
        (
            (
                "It holds from now on, for mail that you already have too: when you open mail or "
                "follow links of mail that this organisation sends to your address, nothing is "
                "recorded. Links keep working."
            ),
            "What was recorded before is still there. To have it erased, ask the sender.",
        ),
    ),
    withdrawal_kept=Said(
        "Your objection is kept",
        (
            (
                "From now on nothing is recorded when you open this mail or follow its links. "
                "Links keep working."
            ),
            (
                "The record can not be read or does not know this mail at the moment. As soon as "
                "it can and does, your objection holds for all mail to your address. You need not "
                "do anything more. If the mail went to several people with the same link, it holds "
                "for this mail only, since the link does not say who you are."
            ),
        ),
    ),
    asked=Said(
        "Look into your mailbox",
        (
            (
                "If the mail was sent to the address that you wrote, another mail is on its way "
                "there. It holds a link: follow it to stop tracking."
            ),
            (
                "Nothing comes within the hour? Then the mail was sent to another address of "
                "yours, or the last mail of this kind is not yet a day old."
            ),
        ),
    ),
    restore_asked=Said(
        "Look into your mailbox",
        (
            (
                "A mail is on its way to the address at which you got this mail. It holds a link: "
                "follow it to allow tracking again. Until then nothing changes."
            ),
        ),
    ),
    denied=Said(
        "You are not tracked any more",
        (
            (
                "It holds from now on, for mail that you already have too: nothing is recorded. "
                "Links keep working."
            ),
            "What was recorded before is still there. To have it erased, ask the sender.",
        ),
    ),
    undone=Said(
        "It is as it was before",
        (
            (
                "That you had stopped tracking is taken back. From now on may be recorded what "
                "could be before you stopped it. What you did in between is not known and stays so."
            ),
        ),
    ),
    nothing_undone=Said(
        "There was nothing to take back",
        (
            (
                "Nothing that was told on this page is in force for this address. Perhaps you have "
                "confirmed already, or somebody has recorded your objection elsewhere."
            ),
        ),
    ),
    confirmation_kept=Said(
        "It is kept",
        (
            (
                "The record can not be written at the moment. What you have confirmed is done as "
                "soon as it can. You need not do anything more."
            ),
        ),
    ),
    code_ended=Said(
        "This link does not hold any more",
        (
            (
                "It is incomplete or too old. Nothing was changed. Take a link from the mail that "
                "is tracked and begin again on the first page."
            ),
        ),
    ),
    not_found=Said(
        "This is no link of ours",
        (
            (
                "It is incomplete, was changed on its way, or was never a link of ours. Take "
                "another link from the mail, and paste it on the first page."
            ),
        ),
    ),
    too_often=Said(
        "Not so often",
        ("This was asked for too often. Please come back tomorrow.",),
    ),
    not_kept=Said(
        "That did not work",
        (
            (
                "Nothing could be written at the moment, so nothing was changed. Please come back "
                "in some minutes."
            ),
        ),
    ),
    foreign=Said(
        "Nothing was done",
        ("Another site asked for this. Open this page yourself and press the button here.",),
    ),
    back="To the first page",
    deny_mail=Mail(
        subject="Stop tracking of mail: please confirm",
        text="Somebody, you it seems, asked that mail to {mask} is not tracked any more.\n\n"
        "To confirm, open this page and press the button there:\n\n{link}\n\n"
        "The link holds for a week. If it was not you, do nothing: nothing is changed then.\n",
    ),
    undo_mail=Mail(
        subject="Allow tracking of mail again: please confirm",
        text="Tracking of mail to {mask} was stopped. Somebody, you it seems, asked to take that "
        "back.\n\nTo confirm, open this page and press the button there:\n\n{link}\n\n"
        "The link holds for a week. If it was not you, do nothing: nothing is changed then.\n",
    ),
)
