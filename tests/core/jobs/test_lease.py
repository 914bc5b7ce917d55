import threading

from core.db import db
from core.jobs import lease


def test_the_first_to_ask_has_the_duty(database):
    assert lease.take("scheduler", "a", 30)
    assert not lease.take("scheduler", "b", 30)
    assert lease.holder_of("scheduler") == "a"


def test_the_holder_renews_it(database):
    assert lease.take("scheduler", "a", 0.001)
    assert lease.take("scheduler", "a", 30)
    assert not lease.take("scheduler", "b", 30)


def test_an_expired_duty_goes_to_whoever_asks(database):
    assert lease.take("scheduler", "a", -1)
    assert lease.holder_of("scheduler") is None
    assert lease.take("scheduler", "b", 30)
    assert not lease.take("scheduler", "a", 30)


def test_a_duty_given_up_is_free_at_once_and_only_its_holder_can_give_it_up(database):
    lease.take("scheduler", "a", 30)
    lease.give_up("scheduler", "b")
    assert lease.holder_of("scheduler") == "a"
    lease.give_up("scheduler", "a")
    assert lease.take("scheduler", "b", 30)


def test_duties_do_not_meet(database):
    assert lease.take("scheduler", "a", 30)
    assert lease.take("cleaner", "b", 30)


def test_of_many_who_ask_at_once_one_gets_it(database):
    ready = threading.Barrier(8)
    won = []

    def ask(name):
        with db.connection_context():
            ready.wait()
            if lease.take("scheduler", name, 30):
                won.append(name)

    askers = [threading.Thread(target=ask, args=(f"asker-{number}",)) for number in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert won == [lease.holder_of("scheduler")]
