import { mount } from 'svelte';
import 'uplot/dist/uPlot.min.css';
import './styles/base.css';
import { serviceAddress, setAddress } from './api/address';
import { Api } from './api/api';
import { AppStore } from './store/app';
import App from './views/App.svelte';

const api = new Api(serviceAddress(new URL(location.href), setAddress()));
const store = new AppStore(api);
const target = document.getElementById('app');
if (!target) throw new Error('the page has no place for the app');
store.start();
mount(App, { target, props: { store } });
